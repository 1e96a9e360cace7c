package dnssec

import (
	"strconv"

	"github.com/miekg/dns"
)

// suffix is the last n labels of a name.
func suffix(name string, n int) string {
	offsets := dns.Split(name)
	switch {
	case n <= 0:
		return "."
	case n >= len(offsets):
		return name
	}
	return name[offsets[len(offsets)-n]:]
}

// parent is a name without its first label; the root is its own.
func parent(name string) string { return suffix(name, dns.CountLabel(name)-1) }

// below says that a name is a true descendant of another.
func below(ancestor, name string) bool {
	return dns.IsSubDomain(ancestor, name) && dns.CountLabel(name) > dns.CountLabel(ancestor)
}

func typeText(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}
