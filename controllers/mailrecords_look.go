package controllers

import (
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// This file finds out, outside the reconcile workers, what records rest on that stands elsewhere: what receivers have to
// look up for an SPF record, whether those that reports of DMARC go to take them, and the policy of MTA-STS as senders get it.

const (
	// lookAgain is how long what was found counts, and lookSoon how long after what could not be found out, or is not as it
	// should be.
	lookAgain = time.Hour
	lookSoon  = time.Minute
	// lookFirst is how long after each of the firstLooks at a policy that is new: whoever serves it learns of it from the
	// status, and may do so a moment later than the operator looks.
	lookFirst  = 5 * time.Second
	firstLooks = 4
	// lookTime is how long one look may take.
	lookTime = 2 * time.Minute
	// lookDoubts is how many looks in a row have to fail before what was found earlier is given up.
	lookDoubts = 3
)

// limitsLook is what is known of what a record refers to.
type limitsLook struct {
	// data is the record, and limits what was found; at is when, zero for never.
	data   string
	limits mailplan.Limits
	at     time.Time
	busy   bool
}

// policyLook is what is known of the policy that the policy host of a domain gives.
type policyLook struct {
	// body is what it gave last, and problem why it gave none; failed counts the looks in a row without any.
	body, problem string
	failed        int
	at            time.Time
	busy          bool
	// want is the policy that is looked for, and looks counts the looks for it.
	want  string
	looks int
}

// again is how long after a look the next one is due that does not find what it should.
func (p *policyLook) again() time.Duration {
	if p.looks < firstLooks {
		return lookFirst
	}
	return lookSoon
}

// recordLooks looks.
type recordLooks struct {
	book *recordBook
	// senders has the resolver and its limits.
	senders *senderWatch
	// fetch gets a policy; nil where nobody may.
	fetch PolicyFetch
}

// PolicyFetch gets the policy of MTA-STS of a domain as a sender does. The problem is fatal where there is none.
type PolicyFetch func(ctx context.Context, r senderview.Resolver, domain string) (body string, problems mailrecord.Problems)

// begin starts work beside the reconcilers, unless the operator stops.
func (l *recordLooks) begin(run *domainRun, work func(context.Context, *asker)) {
	job := senderJob{name: run.key()}
	zones := run.zonesOfHosts()
	for _, rr := range run.allRecords() {
		zones = append(zones, rr.zone)
	}
	job.anchors, _ = l.senders.anchorsFor(zones)
	asker := l.senders.askerOf(job)
	go l.senders.guard.Do(guard.Senders, func() {
		ctx, cancel := context.WithTimeout(l.senders.ctx, lookTime)
		defer cancel()
		work(ctx, asker)
	}, "maildomain", job.name)
}

// limitsOf looks up what a record refers to.
type limitsOf struct {
	// page is where it is kept.
	page func(*recordPage) *limitsLook
	find func(ctx context.Context, r mailrecord.Resolver, domain string, data []string) mailplan.Limits
}

// What SPF records, and DMARC records, refer to.
var (
	spfLimitsOf   = limitsOf{func(p *recordPage) *limitsLook { return &p.spf }, mailplan.SPFLimits}
	dmarcLimitsOf = limitsOf{func(p *recordPage) *limitsLook { return &p.dmarc }, mailplan.DMARCConsents}
)

// count has what a record refers to looked up when that is due, and says when to ask again. It is due also when something of
// it has changed since the last look, as far as is known.
func (l *recordLooks) count(run *domainRun, in types.NamespacedName, of limitsOf, data string, changed time.Time) time.Duration {
	key, name := subjectOf(run.md).key(run.key()), run.md.Spec.Domain
	due := never
	l.book.amend(key, in, func(p *recordPage) {
		look := of.page(p)
		if look.data != data {
			*look = limitsLook{data: data}
		}
		if due = l.dueIn(run.now, look.at, look.limits == mailplan.Limits{}); look.at.Before(changed) {
			due = 0
		}
		if due <= 0 && !look.busy {
			look.busy = true
			l.begin(run, func(ctx context.Context, r *asker) { l.counted(ctx, key, in, of, name, data, r) })
		}
	})
	return max(due, lookSoon)
}

func (l *recordLooks) counted(ctx context.Context, key recordKey, in types.NamespacedName, of limitsOf, name, data string, r *asker) {
	found := mailplan.Limits{Unknown: unforeseen}
	defer func() { // after a panic, too: nobody waits for ever
		news := false
		l.book.amend(key, in, func(p *recordPage) {
			if look := of.page(p); look.data == data {
				news = look.at.IsZero() || look.limits != found
				*look = limitsLook{data: data, limits: found, at: l.senders.clock.Now()}
			}
		})
		if news {
			l.book.wake(key.domain)
		}
	}()
	found = of.find(ctx, sendercheck.Lookups(r), name, []string{data})
}

// get has the policy of a domain fetched when that is due, and says when to ask again.
func (l *recordLooks) get(run *domainRun, in types.NamespacedName, want string) time.Duration {
	key := subjectOf(run.md).key(run.key())
	if !l.senders.enabled() || l.fetch == nil {
		return never
	}
	due, again := never, lookSoon
	l.book.amend(key, in, func(p *recordPage) {
		look := &p.policy
		if look.want != want {
			look.want, look.looks = want, 0
		}
		well := look.failed == 0 && samePolicy(look.body, want)
		if due, again = l.dueIn(run.now, look.at, well), lookSoon; !well {
			again = look.again()
			due = min(due, look.at.Add(again).Sub(run.now))
		}
		if due <= 0 && !look.busy {
			look.busy = true
			look.looks++
			l.begin(run, func(ctx context.Context, r *asker) { l.got(ctx, key, in, run.md.Spec.Domain, r) })
		}
	})
	return max(due, again)
}

func (l *recordLooks) got(ctx context.Context, key recordKey, in types.NamespacedName, name string, r *asker) {
	found := policyLook{problem: unforeseen}
	defer func() {
		news := false
		l.book.amend(key, in, func(p *recordPage) {
			was := p.policy
			found.at, found.want, found.looks = l.senders.clock.Now(), was.want, was.looks
			if samePolicy(found.body, found.want) {
				found.looks = firstLooks // it is served: who fails from now on is asked no sooner
			}
			if found.problem != "" {
				found.failed = was.failed + 1
			}
			if found.problem != "" && found.failed < lookDoubts && was.body != "" {
				found.body, found.problem = was.body, "" // one look that fails is no news
			}
			news = was.at.IsZero() || was.body != found.body || was.problem != found.problem
			p.policy = found
		})
		if news {
			l.book.wake(key.domain)
		}
	}()
	body, problems := l.fetch(ctx, r, name)
	found = policyLook{body: body}
	if problems.Fatal() {
		found = policyLook{problem: problems.First(mailrecord.Fatal).Message + "; " + problems.First(mailrecord.Fatal).Advice}
	}
}

func (l *recordLooks) dueIn(now, at time.Time, well bool) time.Duration {
	switch {
	case at.IsZero():
		return 0
	case well:
		return at.Add(lookAgain).Sub(now)
	}
	return at.Add(lookSoon).Sub(now)
}

// samePolicy says whether a body says what a policy does: line ends, the order of servers, and fields that nobody knows are
// nobody's business.
func samePolicy(body, want string) bool {
	a, found := mailrecord.ParsePolicy(body)
	b, _ := mailrecord.ParsePolicy(want)
	slices.Sort(a.MX)
	slices.Sort(b.MX)
	return body != "" && !found.Fatal() && a.Mode == b.Mode && a.MaxAge == b.MaxAge && slices.Equal(a.MX, b.MX)
}

// hold says what has to be done before the TXT record of a policy may be written; empty when nothing has.
func (l *recordLooks) hold(p policyLook, domain, want string) string {
	url := "https://" + mailrecord.MTASTSHost(domain) + mailrecord.PolicyPath
	const todo = "; serve there what status.records shows as policy"
	switch {
	case !l.senders.enabled() || l.fetch == nil:
		return "MTA-STS: nobody looks whether " + url + " gives the policy, so that its record is not written"
	case p.at.IsZero():
		return "MTA-STS: whether " + url + " gives the policy is being looked at"
	case p.problem != "":
		return "MTA-STS: " + url + " does not give the policy: " + strings.TrimSuffix(p.problem, ".") + todo
	case !samePolicy(p.body, want):
		return "MTA-STS: " + url + " gives another policy" + todo
	}
	return ""
}
