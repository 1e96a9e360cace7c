package senderview

import (
	"fmt"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

func undeliverable(h Host, base string, blame *Link, why string) *HostView {
	return &HostView{Host: h.Name, Verdict: Undeliverable, Base: base, Blame: blame,
		Message: fmt.Sprintf("senders do not deliver to %s: %s", h.Name, why)}
}

func opportunistic(h Host, blame *Link) HostView {
	return HostView{Host: h.Name, Verdict: Opportunistic, Blame: blame,
		Message: fmt.Sprintf("senders do not authenticate %s: %s", h.Name, lacks(*blame))}
}

// String names a link, such as "the alias a.example to b.example".
func (l Link) String() string {
	if l.Target != "" {
		return fmt.Sprintf("the alias %s to %s", l.Name, l.Target)
	}
	if l.Asked != "" {
		return fmt.Sprintf("the %s lookup of %s, where %s leads,", l.Type, l.Name, l.Asked)
	}
	return fmt.Sprintf("the %s lookup of %s", l.Type, l.Name)
}

// because is the cause in brackets, if there is one.
func (l Link) because() string {
	if l.Cause == "" {
		return ""
	}
	return " (" + l.Cause + ")"
}

// lacks says why a link does not lead to secure TLSA records, and what to do.
func lacks(l Link) string {
	if l.State == dnssec.Secure {
		return fmt.Sprintf("there are no TLSA records at %s; publish them", l.Name)
	}
	return fmt.Sprintf("%s is insecure%s; sign the zone of %s, and have its DS records put into the parent zone", l, l.because(), l.Name)
}

// fails says that a lookup fails, and what to do.
func fails(l Link) string {
	if l.State == dnssec.Bogus {
		return fmt.Sprintf("%s is bogus%s; mend the signatures of the zone of %s, or its DS records", l, l.because(), l.Name)
	}
	return fmt.Sprintf("%s fails%s; see that every name server of the zone of %s answers it", l, l.because(), l.Name)
}

// refused says why senders turn away from an endpoint, and what to do.
func refused(host string, e Endpoint, l Link) string {
	reason := ""
	if e.Reason != "" {
		reason = " (" + e.Reason + ")"
	}
	if e.Presented == NoTLS {
		return fmt.Sprintf("%s has no TLS at %s%s, which the TLSA records of %s demand; mend STARTTLS there, or take the records away", host, e.Address, reason, l.Name)
	}
	return fmt.Sprintf("what %s presents at %s matches no TLSA record of %s%s; publish the records of its certificate, or install the certificate of the records",
		host, e.Address, l.Name, reason)
}
