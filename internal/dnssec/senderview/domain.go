package senderview

import (
	"fmt"
	"slices"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

const smtpPort = 25

// View says how a sender sees a domain.
func View(d Domain) DomainView {
	d = d.normal()
	mx := d.MX.weakest(d.Name, "MX")
	out := DomainView{Domain: d.Name}
	switch {
	case d.unroutable():
		out.Verdict, out.Message = Undeliverable, d.lost(mx)
		return out
	case d.nullMX():
		out.Verdict, out.Message = NoMail, d.refusesMail()
		return out
	}
	for _, name := range d.Exchanges {
		out.Hosts = append(out.Hosts, d.view(name, mx))
	}
	out.sum()
	return out
}

// ViewAt says how a sender sees one of the hosts that were looked up. One that no MX record names is seen as
// it would be if one did, and named is false: no sender is sent to it.
func ViewAt(d Domain, host string) (view HostView, named bool) {
	d, host = d.normal(), plain(host)
	mx := d.MX.weakest(d.Name, "MX")
	if d.unroutable() {
		return HostView{Host: host, Verdict: Undeliverable, Blame: &mx, Message: d.lost(mx)}, true
	}
	view = d.view(host, mx)
	if named = slices.Contains(d.Exchanges, host); !named {
		view.Message += fmt.Sprintf("; but no sender is sent to %s: %s", host, d.passesBy())
	}
	return view, named
}

// lost says why nobody knows where mail for the domain goes.
func (d Domain) lost(mx Link) string {
	if d.MX.failed() {
		return fmt.Sprintf("senders do not deliver to %s: %s", d.Name, fails(mx))
	}
	return fmt.Sprintf("senders do not deliver to %s: there is no such name; publish it with MX records", d.Name)
}

// passesBy says where mail goes instead of to a host that is not among the exchanges.
func (d Domain) passesBy() string {
	switch {
	case !d.MX.has():
		return fmt.Sprintf("%s has no MX records, so that mail goes to the host of that name; name the server in MX records", d.Name)
	case d.nullMX():
		return d.refusesMail()
	}
	return fmt.Sprintf("the MX records of %s do not name it; add it to them, or leave it out of the mail servers of the domain", d.Name)
}

func (d Domain) refusesMail() string { return d.Name + " takes no mail: it has a null MX" }

// nullMX says that the only exchange is the root (RFC 7505 section 3). The domain has to be normal.
func (d Domain) nullMX() bool {
	return d.MX.has() && len(d.Exchanges) == 1 && d.Exchanges[0] == ""
}

// normal is the domain with names as they are compared, and with its implicit MX.
func (d Domain) normal() Domain {
	d.Name = plain(d.Name)
	if d.Port == 0 {
		d.Port = smtpPort
	}
	var names []string
	for _, name := range d.Exchanges {
		if name = plain(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	d.Exchanges = names
	if !d.MX.has() {
		d.Exchanges = []string{d.Name}
	}
	return d
}

// view decides for an exchange. A host that was not looked up has failed.
func (d Domain) view(name string, mx Link) HostView {
	h := Host{Name: name}
	for _, known := range d.Hosts {
		if plain(known.Name) == name {
			h = known
			h.Name = name
		}
	}
	found, none := addresses(h)
	if none != nil || mx.State == dnssec.Secure {
		return viewHost(h, d.Port)
	}
	out := opportunistic(h, &mx)
	if len(h.TLSA) > 0 {
		eager := viewHost(h, d.Port)
		out.Eager = eager.Verdict
		out.Message += "; for senders that authenticate all the same: " + eager.Message
		return out
	}
	out.Message += found.note
	return out
}

// sum judges the domain by its hosts.
func (v *DomainView) sum() {
	weakest, lost := -1, 0
	for i, h := range v.Hosts {
		if h.Verdict == Undeliverable {
			lost++
		} else if weakest < 0 || strength(h.Verdict) < strength(v.Hosts[weakest].Verdict) {
			weakest = i
		}
	}
	if weakest < 0 {
		v.Verdict, v.Message = Undeliverable, lostAll(v.Domain, v.Hosts)
		return
	}
	v.Verdict, v.Message = v.Hosts[weakest].Verdict, v.Hosts[weakest].Message
	if lost > 0 {
		v.Message += fmt.Sprintf("; senders deliver to %d of %d mail servers", len(v.Hosts)-lost, len(v.Hosts))
	}
}

// lostAll says that mail cannot be delivered to any host.
func lostAll(domain string, hosts []HostView) string {
	switch len(hosts) {
	case 0:
		return fmt.Sprintf("senders do not deliver to %s: its MX records name no mail server", domain)
	case 1:
		return hosts[0].Message
	}
	return fmt.Sprintf("senders deliver to none of the %d mail servers of %s; the first: %s", len(hosts), domain, hosts[0].Message)
}

func strength(v Verdict) int {
	return slices.Index([]Verdict{Opportunistic, EncryptOnly, DANE}, v)
}

// ReferenceNames are the names that a certificate may have with usage 2: the base domain, the next-hop
// domain, and the end of its aliases (RFC 7672 section 3.2.2). Insecure MX records do not tie the host to
// the domain: then it is the base domain alone.
func ReferenceNames(d Domain, base string) []string {
	names := []string{plain(base)}
	if !d.MX.secure() {
		return names
	}
	for _, name := range []string{plain(d.Name), d.MX.final(plain(d.Name))} {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
