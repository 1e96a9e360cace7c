package judge

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// packages name where a program comes from.
var packages = map[string]string{"posttls-finger": "postfix", "postfix": "postfix", "openssl": "openssl", "unshare": "util-linux"}

// find returns the path of a program; those of Postfix are not in every user's PATH.
func find(t testing.TB, program string) string {
	t.Helper()
	for _, name := range []string{program, filepath.Join("/usr/sbin", program)} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: apt-get install --no-install-recommends %s", program, packages[program])
	return ""
}
