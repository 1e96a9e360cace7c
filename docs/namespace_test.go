package docs

import (
	"regexp"
	"testing"
)

var (
	// ofAnObject is a command on an object that stands in a namespace.
	ofAnObject = regexp.MustCompile(`\bkubectl (?:[^|;]* )?(?:md|dz|md,dz|maildomains?|dnszones?|certificates?|certificaterequests?|secrets?)(?:[ /]|$)[^|;]*`)
	// inNamespace says in which, or in all.
	inNamespace = regexp.MustCompile(`(?: -n | --namespace[ =]| -A\b| --all-namespaces|kubectl explain| -f | auth can-i )`)
)

// TestCommandsNameTheNamespace: each command on an object of a namespace says in which it is. A reader's own is another one.
func TestCommandsNameTheNamespace(t *testing.T) {
	tried := 0
	for _, page := range pages(t) {
		for _, snippet := range code(string(read(t, page))) {
			for _, command := range ofAnObject.FindAllString(snippet, -1) {
				tried++
				if !inNamespace.MatchString(command) {
					t.Errorf("%s: %q names no namespace", page, command)
				}
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d commands were found: does the test still read them right?", tried)
	}
}
