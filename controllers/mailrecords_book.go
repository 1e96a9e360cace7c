package controllers

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/zone"
)

// recordBook keeps what sweeps and updates have shown of the records of mail domains. Losing it costs time and nothing
// else.
type recordBook struct {
	wake func(types.NamespacedName)

	mu      sync.Mutex
	domains map[types.NamespacedName]map[string]*recordPage // by name
}

// recordKey names what records are about: a MailDomain, and its domain or a name beside it.
type recordKey struct {
	domain types.NamespacedName
	name   string
}

// recordPage is what is known of one mail domain, or of one name beside it.
type recordPage struct {
	// zone is the DNSZone whose servers were asked.
	zone     types.NamespacedName
	sweeping bool
	// swept is the end of the newest sweep.
	swept   time.Time
	records map[mailplan.Record]recordSeen
	// spf and dmarc are what was found of what these records refer to.
	spf, dmarc limitsLook
	policy     policyLook
}

// recordSeen is what is known of one record.
type recordSeen struct {
	// sweep is the newest; stale says that an update came after it, which ended at wrote.
	sweep *mailplan.Sweep
	stale bool
	wrote time.Time
	// publishing says that the end of an update is awaited.
	publishing bool
	// result is how the last update ended, failures how many have failed in a row, and retryAt when the next may be tried.
	result   zone.Result
	failures int
	retryAt  time.Time
	// outSince is since when the servers have not shown what is wanted; zero when they do.
	outSince time.Time
}

func newRecordBook(wake func(types.NamespacedName)) *recordBook {
	return &recordBook{wake: wake, domains: map[types.NamespacedName]map[string]*recordPage{}}
}

// page is that of a mail domain in a zone; the caller holds the lock. What was seen in another zone counts for nothing.
func (b *recordBook) page(key recordKey, in types.NamespacedName) *recordPage {
	pages := b.domains[key.domain]
	if pages == nil {
		pages = map[string]*recordPage{}
		b.domains[key.domain] = pages
	}
	p := pages[key.name]
	if p == nil || p.zone != in {
		p = &recordPage{zone: in, records: map[mailplan.Record]recordSeen{}}
		pages[key.name] = p
	}
	return p
}

// view is a copy of what is known, and how many mail domains there are.
func (b *recordBook) view(key recordKey, in types.NamespacedName) (recordPage, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := *b.page(key, in)
	p.records = maps.Clone(p.records)
	return p, len(b.domains)
}

// forget forgets what is known of a MailDomain, but for some names.
func (b *recordBook) forget(domain types.NamespacedName, but ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(but) == 0 {
		delete(b.domains, domain)
		return
	}
	maps.DeleteFunc(b.domains[domain], func(name string, _ *recordPage) bool { return !slices.Contains(but, name) })
}

// amend changes the page of a mail domain, if it is still about that zone.
func (b *recordBook) amend(key recordKey, in types.NamespacedName, change func(*recordPage)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.domains[key.domain][key.name]; p != nil && p.zone == in {
		change(p)
	}
}

// beginSweep says whether a sweep may be started now, and notes that it is.
func (b *recordBook) beginSweep(key recordKey, in types.NamespacedName) (begun bool) {
	b.amend(key, in, func(p *recordPage) {
		for _, seen := range p.records {
			if seen.publishing {
				return
			}
		}
		begun, p.sweeping = !p.sweeping, true
	})
	return begun
}

// endSweep takes over what a sweep of some records has seen, and wakes the MailDomain when there is news.
func (b *recordBook) endSweep(key recordKey, in types.NamespacedName, records []mailplan.Record, found []zone.SetSweep) {
	news := false
	b.amend(key, in, func(p *recordPage) {
		p.sweeping = false
		for i, record := range records {
			news = p.note(record, found[i]) || news
		}
	})
	if news {
		b.wake(key.domain)
	}
}

// note takes over what was seen of one record, and says whether that is news. What was looked at before an update had ended
// says nothing of what stands after it.
func (p *recordPage) note(record mailplan.Record, found zone.SetSweep) bool {
	seen := p.records[record]
	if found.End.After(p.swept) {
		p.swept = found.End
	}
	if found.Start.Before(seen.wrote) {
		return false
	}
	made := sweepOf(found)
	news := seen.stale || seen.sweep == nil || !slices.EqualFunc(seen.sweep.Answers, made.Answers, sameRecordAnswer)
	seen.sweep, seen.stale = made, false
	p.records[record] = seen
	return news
}

func sweepOf(s zone.SetSweep) *mailplan.Sweep {
	out := &mailplan.Sweep{End: s.End}
	for _, a := range s.Answers {
		server := a.Address
		if a.Name != "" {
			server = a.Name + " (" + a.Address + ")"
		}
		out.Answers = append(out.Answers, mailplan.Answer{
			Server: server, Reachable: a.Reachable, Signed: a.Signed, Primary: a.Primary, Ignored: a.Ignored, Alias: a.Alias,
			Data: a.Data, Synthesized: a.Synthesized, TTL: a.CacheTTL, Message: a.Message,
		})
	}
	return out
}

func sameRecordAnswer(a, b mailplan.Answer) bool {
	return a.Server == b.Server && a.Reachable == b.Reachable && a.Signed == b.Signed && a.Primary == b.Primary && a.Ignored == b.Ignored &&
		a.Alias == b.Alias && a.Synthesized == b.Synthesized && a.TTL == b.TTL && a.Message == b.Message && slices.Equal(a.Data, b.Data)
}

// beginPublish says whether an update may be sent now, and notes that it is.
func (b *recordBook) beginPublish(key recordKey, in types.NamespacedName, record mailplan.Record, now time.Time) (begun bool) {
	b.amend(key, in, func(p *recordPage) {
		seen := p.records[record]
		if seen.publishing || now.Before(seen.retryAt) {
			return
		}
		begun, seen.publishing = true, true
		p.records[record] = seen
	})
	return begun
}

// endPublish notes how an update ended. Whatever it says, what stands now has to be seen.
func (b *recordBook) endPublish(key recordKey, in types.NamespacedName, record mailplan.Record, result zone.Result, now time.Time) {
	b.amend(key, in, func(p *recordPage) {
		seen := p.records[record]
		p.swept = time.Time{}
		seen.publishing, seen.stale, seen.wrote, seen.result = false, true, now, result
		if result.Class == zone.Applied || result.Class == zone.Unchanged {
			seen.failures, seen.retryAt = 0, time.Time{}
		} else {
			seen.failures++
			seen.retryAt = now.Add(backoff(seen.failures))
		}
		p.records[record] = seen
	})
}

// noteSync remembers since when a record is not as it should be.
func (b *recordBook) noteSync(key recordKey, in types.NamespacedName, record mailplan.Record, inSync bool, now time.Time) {
	b.amend(key, in, func(p *recordPage) {
		seen := p.records[record]
		switch {
		case inSync:
			seen.outSince = time.Time{}
		case seen.outSince.IsZero():
			seen.outSince = now
		}
		p.records[record] = seen
	})
}

// failure says how the last update failed; empty when it did not.
func (s recordSeen) failure() (message string, final bool) {
	if s.failures == 0 {
		return "", false
	}
	return s.result.Message, !s.result.Retryable
}
