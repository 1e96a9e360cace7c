package dashboard

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

const (
	// pageSize is how many hosts or zones stand on one page.
	pageSize = 100
	// zonesInFront is how many zones that are not healthy are shown beside the hosts.
	zonesInFront = 10
)

// Filter is what somebody wants to see of all that he may see.
type Filter struct {
	// Namespace that is looked at; empty for all that are watched.
	Namespace string
	// Text that the names have in them; empty for all.
	Text string
	// State is the class of a level; empty for all.
	State string
	// Page, from 1.
	Page int
}

// filterOf reads a filter from an address. What is not understood is as if it were not there.
func filterOf(query url.Values) Filter {
	f := Filter{
		Namespace: query.Get("namespace"), Text: strings.ToLower(strings.TrimSpace(query.Get("q"))), State: query.Get("state"),
	}
	f.Page, _ = strconv.Atoi(query.Get("page"))
	f.Page = max(f.Page, 1)
	if !slices.ContainsFunc(Levels(), func(l Level) bool { return l.Class() == f.State }) {
		f.State = ""
	}
	return f
}

// query is the filter as a part of an address.
func (f Filter) query() string {
	v := url.Values{}
	for name, value := range map[string]string{"namespace": f.Namespace, "q": f.Text, "state": f.State} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if f.Page > 1 {
		v.Set("page", strconv.Itoa(f.Page))
	}
	return v.Encode()
}

// link is the address of a page with the filter.
func (f Filter) link(path string) string {
	if q := f.query(); q != "" {
		return path + "?" + q
	}
	return path
}

// Instant is a time as it is shown; nothing is shown of the zero time.
type Instant struct {
	time.Time
	// Words say how far it is away.
	Words string
}

func instant(at, now time.Time) Instant {
	if at.IsZero() {
		return Instant{}
	}
	return Instant{at, statusview.Until(at, now)}
}

// Machine is the time as browsers read it.
func (i Instant) Machine() string { return i.UTC().Format(time.RFC3339) }

// Stamp is the time as people read it.
func (i Instant) Stamp() string { return statusview.Stamp(i.Time) }

// Host is a mail server in the list.
type Host struct {
	judgement
	Namespace, MailDomain, Domain, Name string
	// Foreign says that the host is somebody else's: no certificates are named for it.
	Foreign bool
	// UnsafeSince and UnsafeUntil say for how long senders may fail.
	UnsafeSince, UnsafeUntil Instant
	// Phase of the rollover, in words; empty without one.
	Phase string
	// Senders is what senders with DANE do, and SendersFail says that this is to fail, for some of them or for all.
	Senders     string
	SendersFail bool
	// Waits is what is waited for next, and At until when.
	Waits string
	At    Instant
}

// Link leads to the page about the host.
func (h Host) Link() string {
	return "/host?" + url.Values{"namespace": {h.Namespace}, "maildomain": {h.MailDomain}, "host": {h.Name}}.Encode()
}

// ID names the host in a page, for links and for the keyboard focus when a page is brought up to date.
func (h Host) ID() string { return "host-" + h.Namespace + "-" + h.MailDomain + "-" + h.Name }

func (h Host) fits(f Filter) bool {
	return (f.State == "" || f.State == h.Level.Class()) && contains(f.Text, h.Namespace, h.MailDomain, h.Domain, h.Name)
}

func contains(text string, names ...string) bool {
	return text == "" || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, text) })
}

// untilThen is what a host waits for that is unsafe and waits for nothing else (internal/rollover).
const untilThen = "senders may fail until then"

// hostOf is what the list shows of a host; s is nil where nothing is known.
func hostOf(md *v1alpha1.MailDomain, name string, s *v1alpha1.MailServerStatus, now time.Time) Host {
	h := Host{
		judgement: judgeHost(md, name, s), Namespace: md.Namespace, MailDomain: md.Name, Domain: md.Spec.Domain, Name: name,
		Foreign: foreign(md, name), Phase: inWords(phaseOf(md, name)),
	}
	var at time.Time
	h.Waits, at = statusview.NextOf(md, name)
	h.At = instant(at, now)
	if s == nil {
		return h
	}
	h.Senders = statusview.Senders(s)
	h.SendersFail = statusview.SomeMayFail(s) || s.SenderView != nil && s.SenderView.Verdict == v1alpha1.SenderUndeliverable
	if u := s.Unsafe; u != nil {
		if !u.Since.IsZero() {
			h.UnsafeSince = instant(u.Since.Time, now)
		}
		if !u.Until.IsZero() {
			h.UnsafeUntil = instant(u.Until.Time, now)
			if h.Waits == untilThen && h.At.Equal(u.Until.Time) {
				h.Waits, h.At = "", Instant{} // it is said already
			}
		}
	}
	return h
}

// foreign says that the spec names a host without certificates.
func foreign(md *v1alpha1.MailDomain, host string) bool {
	return slices.ContainsFunc(md.Spec.MailServers, func(s v1alpha1.MailServer) bool {
		return s.Hostname == host && len(s.Certificates) == 0
	})
}

// hostsOf are all hosts of MailDomains: those of the spec, and those that have left it and are cared for still.
func hostsOf(domains []v1alpha1.MailDomain, now time.Time) []Host {
	var out []Host
	for i := range domains {
		md, seen := &domains[i], map[string]bool{}
		for j := range md.Spec.MailServers {
			name := md.Spec.MailServers[j].Hostname
			seen[name] = true
			out = append(out, hostOf(md, name, md.Status.MailServer(name), now))
		}
		for j := range md.Status.MailServers {
			if s := &md.Status.MailServers[j]; !seen[s.Hostname] {
				out = append(out, hostOf(md, s.Hostname, s, now))
			}
		}
	}
	slices.SortFunc(out, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.MailDomain, b.MailDomain))
	})
	return out
}

// Count is how many hosts have a level, and the address that shows these alone.
type Count struct {
	Level   Level
	N       int
	Link    string
	Current bool
}

// Paging is where a page is in a list.
type Paging struct {
	// From and To are the numbers of the first and the last on the page, from 1; Total that of all.
	From, To, Total int
	// Before and After are the addresses of the pages beside it; empty where there is none.
	Before, After string
}

func pageOf[T any](all []T, f Filter, path string) ([]T, Paging) {
	pages := max((len(all)+pageSize-1)/pageSize, 1)
	f.Page = min(f.Page, pages)
	from, to := (f.Page-1)*pageSize, min(f.Page*pageSize, len(all))
	p := Paging{From: min(from+1, to), To: to, Total: len(all)}
	beside := f
	if f.Page > 1 {
		beside.Page = f.Page - 1
		p.Before = beside.link(path)
	}
	if f.Page < pages {
		beside.Page = f.Page + 1
		p.After = beside.link(path)
	}
	return all[from:to], p
}

// Overview is the page with all hosts.
type Overview struct {
	Filter
	Paging
	// Headline says how all hosts are, and Level what the worst of them is.
	Headline string
	Level    Level
	// Counts are of all hosts, whatever is filtered by.
	Counts []Count
	// Pressing are the hosts of this page that somebody should look at, Others the others.
	Pressing, Others []Host
	// Zones are the worst zones that are not healthy; ZonesTotal is how many there are, and ZonesLink leads to all of them.
	Zones            []Zone
	ZonesTotal       int
	ZonesUnhealthy   int
	ZonesLink, Reset string
}

// NewOverview makes the page. The objects are not changed.
func NewOverview(domains []v1alpha1.MailDomain, zones []v1alpha1.DNSZone, f Filter, now time.Time) Overview {
	all := hostsOf(domains, now)
	o := Overview{Filter: f, Level: Safe, ZonesTotal: len(zones), ZonesLink: Filter{Namespace: f.Namespace}.link("/zones"), Reset: Filter{Namespace: f.Namespace}.link("/")}
	counts := map[Level]int{}
	var fitting []Host
	for _, h := range all {
		counts[h.Level]++
		o.Level = min(o.Level, h.Level)
		if h.fits(f) {
			fitting = append(fitting, h)
		}
	}
	for _, l := range Levels() {
		to := Filter{Namespace: f.Namespace, Text: f.Text, State: l.Class()}
		if to.State == f.State {
			to.State = "" // the same once more shows all again
		}
		o.Counts = append(o.Counts, Count{l, counts[l], to.link("/"), l.Class() == f.State})
	}
	o.Headline = headline(counts, len(all))
	var page []Host
	page, o.Paging = pageOf(fitting, f, "/")
	for _, h := range page {
		if h.Level <= Attention {
			o.Pressing = append(o.Pressing, h)
		} else {
			o.Others = append(o.Others, h)
		}
	}
	for _, z := range zonesOf(zones, now) {
		if z.Level == Safe {
			break
		}
		o.ZonesUnhealthy++
		if len(o.Zones) < zonesInFront {
			o.Zones = append(o.Zones, z)
		}
	}
	return o
}

// headline is the answer to the one question that somebody has who is woken up: is each host safe now?
func headline(counts map[Level]int, total int) string {
	unsafe, attention, unknown := counts[Unsafe], counts[Attention], counts[Unknown]
	switch {
	case total == 0:
		return "There are no mail servers here"
	case unsafe > 0:
		return fmt.Sprintf("%s of %s %s unsafe", number(unsafe), hosts(total), isAre(unsafe))
	case unknown > 0:
		return fmt.Sprintf("It is not known whether %s of %s %s safe", number(unknown), hosts(total), isAre(unknown))
	case attention > 0:
		return fmt.Sprintf("No host is unsafe; %s of %s %s attention", number(attention), hosts(total), plural(attention, "needs", "need"))
	case total == 1:
		return "The one host is safe"
	default:
		return "All " + hosts(total) + " are safe"
	}
}

func hosts(n int) string { return number(n) + " " + plural(n, "host", "hosts") }

func isAre(n int) string { return plural(n, "is", "are") }

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// number writes large numbers in groups of three digits.
func number(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return number(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

// inWords takes a reason apart into words: WaitingForCaches is "Waiting for caches". Words in capitals stay.
func inWords(reason string) string {
	runes, out := []rune(reason), strings.Builder{}
	for i, r := range runes {
		single := unicode.IsUpper(r) && (i+1 == len(runes) || !unicode.IsUpper(runes[i+1]))
		if i > 0 && single && !unicode.IsUpper(runes[i-1]) {
			out.WriteRune(' ')
			r = unicode.ToLower(r)
		}
		out.WriteRune(r)
	}
	return out.String()
}
