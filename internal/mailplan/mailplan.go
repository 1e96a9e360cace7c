// Package mailplan decides what becomes of the records of a mail domain beside TLSA: MX, TLS-RPT, MTA-STS, SPF and DMARC.
// It is a pure function: facts in, decision out, without input, output or a clock.
//
// A record is ours when we wrote it, by what the caller remembers. What is ours may be changed and removed. What is not
// is kept, and a record of the same kind that is not ours is a conflict, unless the spec says that it may be taken over.
// What is written is a whole RRset in place of the one that the primary showed, with nothing in it changed but our record.
package mailplan

import (
	"slices"
	"time"

	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// Record is a part of a mail domain that is a record.
type Record string

// The records, in the order in which they are told.
const (
	MX     Record = "MX"
	TLSRPT Record = "TLSRPT"
	MTASTS Record = "MTASTS"
	SPF    Record = "SPF"
	DMARC  Record = "DMARC"
)

// DMARCReport is the agreement of a domain to take the reports about another one. It stands at a name of its own.
const DMARCReport Record = "DMARCReport"

// Records are those of each mail domain.
var Records = []Record{MX, TLSRPT, MTASTS, SPF, DMARC}

// Name is where the record of a domain stands, without a dot at the end. For DMARCReport it is the name itself.
func (r Record) Name(domain string) string {
	switch r {
	case TLSRPT:
		return mailrecord.TLSRPTName(domain)
	case MTASTS:
		return mailrecord.MTASTSName(domain)
	case DMARC:
		return mailrecord.DMARCName(domain)
	}
	return domain
}

// Type is the type of the record in DNS.
func (r Record) Type() string {
	if r == MX {
		return "MX"
	}
	return "TXT"
}

// kind is what package mailrecord calls the record; empty for MX.
func (r Record) kind() mailrecord.Kind {
	return map[Record]mailrecord.Kind{
		TLSRPT: mailrecord.KindTLSRPT, MTASTS: mailrecord.KindMTASTS, SPF: mailrecord.KindSPF, DMARC: mailrecord.KindDMARC,
		DMARCReport: mailrecord.KindDMARC,
	}[r]
}

// Title is what people call the record.
func (r Record) Title() string {
	if r == MX {
		return "MX"
	}
	return string(r.kind())
}

// Goal is what a spec asks for.
type Goal string

// The goals.
const (
	// Look: it asks for nothing. What stands is looked at.
	Look Goal = "Look"
	// Keep: the wanted records stand.
	Keep Goal = "Keep"
	// Remove: none of ours stands.
	Remove Goal = "Remove"
)

// State sums up how a record stands; the words are those of the API.
type State string

// The states.
const (
	Published  State = "Published"
	Publishing State = "Publishing"
	Waiting    State = "Waiting"
	Conflict   State = "Conflict"
	Invalid    State = "Invalid"
	Refused    State = "Refused"
	Removing   State = "Removing"
	NotManaged State = "NotManaged"
	Unknown    State = "Unknown"
)

// DefaultTTL is the TTL of an RRset that is new. One that stands keeps its own.
const DefaultTTL = time.Hour

// Answer is what one authoritative address said of the RRset. Data are its records as they stand in a zone file.
type Answer struct {
	Server string
	// Reachable says that it answered with authority, Signed that the answer validates.
	Reachable, Signed bool
	// Primary marks the server that updates are sent to, Ignored one that the user excepted.
	Primary, Ignored bool
	// Alias is where the name leads as an alias; empty when it is none.
	Alias string
	Data  []string
	// Synthesized says that the data comes from a wildcard: nothing stands at the name itself.
	Synthesized bool
	// TTL is the longest that caches keep the answer.
	TTL time.Duration
	// Message says what is wrong with it.
	Message string
}

// Sweep is one round of asking every authoritative address.
type Sweep struct {
	End     time.Time
	Answers []Answer
}

// Facts are what a decision for one record rests on.
type Facts struct {
	Now    time.Time
	Record Record
	// Name is where the record stands.
	Name string
	Goal Goal
	// Want are the records that the spec asks for, as they stand in a zone file; with Goal Remove those that it asked for, as
	// far as that is known. For MX see Exchanges.
	Want []string
	// Exchanges are the mail servers that the wanted MX records name; for MX alone.
	Exchanges []Exchange
	// Adopt says that records of this kind that are not ours may be replaced.
	Adopt bool
	// Suspended says that nothing may be written.
	Suspended bool
	// Invalid says which rule the wanted record breaks, Refused why the name may not be written, and Hold what has to be done
	// before the record is changed; each is empty when nothing is in the way.
	Invalid, Refused, Hold string
	// Own are the records that we have written, or were about to. Lost says that it is not known which these are: then those
	// wanted are, for they are what would have been written.
	Own  []string
	Lost bool
	// Sweep is the newest; nil before the first. Stale says that an update was sent since.
	Sweep *Sweep
	Stale bool
	// Validate says that answers have to validate.
	Validate bool
	// Failure says how the last update failed, Final that only a person can mend that, and HeldBack that the next one is
	// not to be sent yet.
	Failure         string
	Final, HeldBack bool
	// WasPublished says that the same records were published before, and Late that servers have not shown them since for
	// longer than they may.
	WasPublished, Late bool
	// Leaving are mail servers that MX records do not name any more, as they were decided on last; for MX alone.
	Leaving []Leaving
}

// Decision is what becomes of a record.
type Decision struct {
	State State
	// Message says what is wrong or waited for, and what to do; stable.
	Message string
	// Found are the records of the kind that any server shows, sorted; Wanted those that the spec asks for.
	Found, Wanted []string
	// Own are the records to remember as ours. They have to be stored before anything is written.
	Own []string
	// Write says that the RRset Expect is to be replaced by Records now.
	Write           bool
	Expect, Records []string
	// InSync says that every server shows what is wanted, and nothing else of the kind.
	InSync bool
	// Gone says that nothing of ours stands any more; for Goal Remove.
	Gone bool
	// Leaving are mail servers that caches may still name; for MX alone.
	Leaving []Leaving
	// Next is an instant worth deciding at again; zero when only a new fact can change anything.
	Next time.Time
}

// Moving says that what servers show next may bring the record on.
func (d Decision) Moving() bool {
	return d.Write || d.State == Publishing || d.State == Removing || d.State == Unknown
}

// Wanted are the records that the spec asks for, sorted.
func (f Facts) Wanted() []string {
	if f.Record == MX {
		return exchangeData(f.Exchanges)
	}
	return f.Want
}

// Decide decides what becomes of one record.
func Decide(f Facts) Decision {
	r := &run{Facts: f, d: Decision{Wanted: f.Wanted()}}
	r.see()
	r.judge()
	r.own()
	if f.Record == MX {
		r.leave()
	}
	return r.d
}

// run is one decision on its way.
type run struct {
	Facts
	d Decision
	// primary is the answer of the primary; nil when there is none that can be used.
	primary *Answer
	// want are the records to be published now, and target the whole RRset with them.
	want, target []string
	// foreign are records of the kind at the primary that are not ours.
	foreign []string
}

// see finds out what stands.
func (r *run) see() {
	if r.Sweep == nil {
		return
	}
	for i := range r.Sweep.Answers {
		a := &r.Sweep.Answers[i]
		if a.Primary && a.Reachable && a.Alias == "" {
			r.primary = a
		}
		if a.Reachable && !a.Ignored {
			r.d.Found = append(r.d.Found, r.ofKind(a.Data)...)
		}
	}
	slices.Sort(r.d.Found)
	r.d.Found = slices.Compact(r.d.Found)
}

// standing is the RRset at the name itself, by the primary.
func (r *run) standing() []string {
	if r.primary == nil || r.primary.Synthesized {
		return nil
	}
	return r.primary.Data
}

// judge finds the state, and whether to write.
func (r *run) judge() {
	switch {
	case r.Goal == Look:
		r.end(NotManaged, r.look())
	case r.Goal == Keep && r.Invalid != "":
		r.end(Invalid, r.Invalid)
	case r.Refused != "":
		r.end(Refused, r.Refused)
	case r.Sweep == nil:
		r.end(Unknown, "the name servers have not been asked yet")
	case r.primary == nil:
		r.unusable()
	case r.Goal == Remove:
		r.remove()
	default:
		r.keep()
	}
}

// unusable ends where the primary shows no RRset that could be changed.
func (r *run) unusable() {
	switch alias := r.alias(); {
	case alias != "" && r.Goal == Remove:
		r.end(NotManaged, "") // nothing of ours can stand there
		r.d.Gone = true
	case alias != "":
		r.end(Refused, r.Name+" is an alias of "+alias+", so that nothing can be published there: remove the alias, or take the record out of the spec and have it kept where the alias leads")
	case r.WasPublished && !r.Late:
		r.end(Published, "")
	default:
		r.end(Unknown, "the primary gives no usable answer for "+r.Name+": "+r.primaryMessage())
	}
}

// look says what is wrong with a record that nobody asked for.
func (r *run) look() string {
	if r.Record == MX || len(r.d.Found) == 0 {
		return ""
	}
	var texts []string
	for _, d := range r.d.Found {
		if text, err := mailrecord.Unquote(d); err == nil {
			texts = append(texts, text)
		}
	}
	found := mailrecord.Select(r.Record.kind(), texts)
	problems := found.Problems
	if found.Text != "" {
		problems = parse(r.Record, found.Text)
	}
	for _, p := range problems {
		if p.Severity != mailrecord.Unwise {
			return p.Error()
		}
	}
	return ""
}

// parse says what is wrong with the text of a record.
func parse(record Record, text string) mailrecord.Problems {
	var found mailrecord.Problems
	switch record {
	case TLSRPT:
		_, found = mailrecord.ParseTLSRPT(text)
	case MTASTS:
		_, found = mailrecord.ParseMTASTS(text)
	case SPF:
		_, found = mailrecord.ParseSPF(text)
	case DMARC:
		_, found = mailrecord.ParseDMARC(text)
	}
	return found
}

func (r *run) end(s State, message string) { r.d.State, r.d.Message = s, message }

// alias is where the name leads by the word of the primary, as an alias; empty when it is none.
func (r *run) alias() string {
	for _, a := range r.Sweep.Answers {
		if a.Primary && a.Reachable {
			return a.Alias
		}
	}
	return ""
}

func (r *run) primaryMessage() string {
	for _, a := range r.Sweep.Answers {
		if a.Primary && a.Message != "" {
			return a.Message
		}
	}
	return "it was not asked"
}
