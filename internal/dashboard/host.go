package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/glossary"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// Moment is a step of a rollover as the page shows it.
type Moment struct {
	Instant
	What string
	// State is done, now, next or open: what has been, the present, what is to come, and what has no known time.
	State string
	// Unsafe says that senders may fail from then on.
	Unsafe bool
}

// Phase is a part of a rollover.
type Phase struct {
	Word string
	// Current says that the rollover is in it, Done that it is past.
	Current, Done bool
}

// Key is a key of a host.
type Key struct {
	Short, SPKI, Certificate, Role, Visibility string
	Expires                                    Instant
}

// Word is a word for what caches know of a key, and its meaning.
type Word struct{ Word, Meaning string }

// Evidence is what one server showed.
type Evidence struct {
	Address, State string
	// Class is good, bad or open.
	Class   string
	Seen    Instant
	Message string
}

// Condition is a condition of an object, with what its reason means.
type Condition struct {
	Type, Status, Reason, Message string
	Since                         Instant
	// Class is good, bad or open.
	Class string
	// Help tells what the reason means and what to do; empty where all is well.
	Help []Block
}

// HostPage is all that is known of one mail server.
type HostPage struct {
	Host
	Strategy       string
	Suspended      bool
	SendersMessage string
	// ZoneName and ZoneLink lead to the zone that records are written to; empty without one.
	ZoneName, ZoneLink string
	Phases             []Phase
	Timeline           []Moment
	Keys               []Key
	Words              []Word
	Nameservers        []Evidence
	Endpoints          []Evidence
	Records            []string
	ForeignRecords     []string
	Aliases            []string
	Conditions         []Condition
	// SigningKeys are those that mail of the domain is signed with.
	SigningKeys []SigningKey
	// Reports are those of the mail domain; nil where none are taken in.
	Reports *Reports
	Help    []Block
}

// NewHostPage makes the page about a host; ok is false where the MailDomain has no such host.
func NewHostPage(md *v1alpha1.MailDomain, name string, now time.Time) (page HostPage, ok bool) {
	s := md.Status.MailServer(name)
	named := slices.ContainsFunc(md.Spec.MailServers, func(m v1alpha1.MailServer) bool { return m.Hostname == name })
	if s == nil && !named {
		return HostPage{}, false
	}
	p := HostPage{
		Host: hostOf(md, name, s, now), Strategy: string(md.Spec.Rollover.Strategy), Suspended: md.Spec.Suspend,
		Conditions: conditionsOf(md.Status.Conditions, now), Phases: phases(phaseOf(md, name)),
		Reports: reportsOf(md, name, now), SigningKeys: signingKeysOf(md, now),
	}
	p.Help = helpOf(p.Reason)
	if s == nil {
		return p, true
	}
	p.SendersMessage = statusview.SendersMessage(s)
	if z := s.ZoneRef; z != nil {
		namespace := cmp.Or(z.Namespace, md.Namespace)
		p.ZoneName, p.ZoneLink = namespace+"/"+z.Name, zoneLink(namespace, z.Name)
	}
	for _, k := range s.Keys {
		p.Keys = append(p.Keys, Key{statusview.Short(k.SPKISHA256), k.SPKISHA256, k.Certificate, string(k.Role), string(k.Visibility), instantOf(k.NotAfter, now)})
	}
	for _, v := range statusview.Visibilities(s) {
		p.Words = append(p.Words, Word{string(v), glossary.Line(string(v))})
	}
	for _, a := range s.Aliases {
		p.Aliases = append(p.Aliases, a.Owner+" → "+a.End)
	}
	p.Records, p.ForeignRecords = s.Records, s.ForeignRecords
	p.Timeline = moments(statusview.Timeline(md, s), now)
	p.Nameservers, p.Endpoints = evidenceOf(s, now)
	return p, true
}

// phases are the parts of a rollover, where there is one. One that is held is in none of them.
func phases(reason string) []Phase {
	if reason == "" {
		return nil
	}
	order := []string{v1alpha1.ReasonPublishing, v1alpha1.ReasonWaitingForCaches, v1alpha1.ReasonDeploying, v1alpha1.ReasonRetiring}
	at := slices.Index(order, reason)
	var out []Phase
	for i, r := range order {
		out = append(out, Phase{Word: inWords(r), Current: i == at, Done: i < at})
	}
	return out
}

// moments puts the present into a timeline.
func moments(steps []statusview.Step, now time.Time) []Moment {
	var out []Moment
	said := false
	for _, s := range steps {
		state := "done"
		switch {
		case s.At.IsZero():
			state = "open"
		case s.At.After(now):
			state = "next"
		}
		if state != "done" && !said {
			out, said = append(out, Moment{Instant: instant(now, now), What: "now", State: "now"}), true
		}
		out = append(out, Moment{instant(s.At, now), s.What, state, s.Unsafe})
	}
	if !said && len(out) > 0 {
		out = append(out, Moment{Instant: instant(now, now), What: "now", State: "now"})
	}
	return out
}

// evidenceOf is what name servers and endpoints showed, what is wrong first.
func evidenceOf(s *v1alpha1.MailServerStatus, now time.Time) (nameservers, endpoints []Evidence) {
	for _, n := range s.Nameservers {
		e := Evidence{Address: statusview.Joined(n.Name, n.Address), State: "out of sync", Class: "bad", Message: n.Message}
		if n.InSync {
			e.State, e.Class = "in sync", "good"
		}
		nameservers = append(nameservers, e)
	}
	for _, p := range s.Endpoints {
		e := Evidence{
			Address: statusview.EndpointPlace(p), State: statusview.EndpointState(p), Class: "bad",
			Seen: instantOf(p.LastProbe, now), Message: p.Message,
		}
		switch {
		case p.Verified:
			e.Class = "good"
		case p.SPKISHA256 == "":
			e.Class = "open"
		}
		endpoints = append(endpoints, e)
	}
	for _, list := range [][]Evidence{nameservers, endpoints} {
		slices.SortStableFunc(list, func(a, b Evidence) int { return cmp.Compare(rank(a.Class), rank(b.Class)) })
	}
	return nameservers, endpoints
}

func rank(class string) int { return slices.Index([]string{"bad", "open", "good"}, class) }

// conditionsOf are conditions as they are shown. RolloverInProgress is neither good nor bad; of Stalled and of
// SendersReportFailures it is good that they are False.
func conditionsOf(conditions []metav1.Condition, now time.Time) []Condition {
	var out []Condition
	for _, c := range conditions {
		good := metav1.ConditionTrue
		if c.Type == v1alpha1.ConditionStalled || c.Type == v1alpha1.ConditionSendersReportFailures {
			good = metav1.ConditionFalse
		}
		shown := Condition{
			Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message, Since: instant(c.LastTransitionTime.Time, now), Class: "bad",
		}
		switch {
		case c.Type == v1alpha1.ConditionRolloverInProgress, c.Status == metav1.ConditionUnknown:
			shown.Class = "open"
		case c.Status == good:
			shown.Class = "good"
		}
		if shown.Class != "good" && c.Reason != v1alpha1.ReasonNoRollover {
			shown.Help = helpOf(c.Reason)
		}
		out = append(out, shown)
	}
	return out
}

func instantOf(at *metav1.Time, now time.Time) Instant {
	if at.IsZero() {
		return Instant{}
	}
	return instant(at.Time, now)
}

// summary is one line about the page for those who do not see it change.
func (p HostPage) summary() string {
	return strings.TrimSuffix(p.Name+" is "+strings.ToLower(p.Level.Word())+": "+p.Why, ": ")
}
