package mailplan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// ofKind are the records of a name that are of the kind.
func (r *run) ofKind(data []string) []string {
	if r.Record == MX {
		return slices.Clone(data)
	}
	var out []string
	for _, d := range data {
		if text, err := mailrecord.Unquote(d); err == nil && len(mailrecord.Select(r.Record.kind(), []string{text}).Found) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// same says whether two records say the same: a text may be cut into strings in more than one way.
func (r *run) same(a, b string) bool {
	if a == b || r.Record == MX {
		return a == b
	}
	x, errA := mailrecord.Unquote(a)
	y, errB := mailrecord.Unquote(b)
	return errA == nil && errB == nil && x == y
}

// has says whether a record is among some.
func (r *run) has(some []string, d string) bool {
	return slices.ContainsFunc(some, func(s string) bool { return r.same(s, d) })
}

// ours says whether a record is one that we wrote: exactly that one, in the same strings.
func (r *run) ours(d string) bool {
	return slices.Contains(r.Own, d) || r.Lost && slices.Contains(r.d.Wanted, d)
}

// keep decides on records that are to stand.
func (r *run) keep() {
	r.want = r.Want
	if r.Record == MX {
		r.want, r.Hold = r.exchanges()
	}
	r.compose()
	changes := !sameData(r.target, r.standing())
	switch {
	case len(r.foreign) > 0 && !r.Adopt:
		r.end(Conflict, r.conflict())
	case len(r.want) == 0, r.Record != MX && changes && r.Hold != "":
		r.end(Waiting, r.Hold)
	case changes:
		r.write(Publishing, r.Record.Title()+" is being published at "+r.Name)
	default:
		r.compare()
		switch {
		case r.Hold == "" || r.d.State != Published:
		case !sameData(r.want, r.d.Wanted):
			r.end(Waiting, r.Hold)
		default:
			r.d.Message = r.Hold // it stands, and what it rests on does not
		}
	}
}

// compose makes the RRset that is to stand: what the primary shows with our record in place of others of the kind. One
// that says the same in other strings stays as it is.
func (r *run) compose() {
	r.target = nil
	kind := r.ofKind(r.standing())
	for _, d := range r.standing() {
		if !slices.Contains(kind, d) {
			r.target = append(r.target, d)
		}
	}
	for _, w := range r.want {
		if at := slices.IndexFunc(kind, func(d string) bool { return r.same(d, w) }); at >= 0 {
			w = kind[at]
		}
		r.target = append(r.target, w)
	}
	for _, d := range kind {
		if !r.ours(d) && !slices.Contains(r.target, d) {
			r.foreign = append(r.foreign, d)
		}
	}
	slices.Sort(r.target)
}

// conflict says which records are in the way.
func (r *run) conflict() string {
	found := "a record that the operator did not write stands"
	if len(r.foreign) > 1 {
		found = fmt.Sprintf("%d records that the operator did not write stand", len(r.foreign))
	}
	beside := ""
	if kind := r.ofKind(r.standing()); r.Record != MX && len(kind) > 1 {
		beside = "; with more than one record there readers go by none"
	}
	return fmt.Sprintf("%s: %s at %s (%s)%s: set adopt: true to have that replaced, or remove it", r.Record.Title(), found, r.Name, shown(r.foreign), beside)
}

// shown are records for people: there may be many, and they may be long.
func shown(data []string) string {
	const longest = 300
	text := strings.Join(data, ", ")
	if len(text) > longest {
		return text[:longest] + "..."
	}
	return text
}

// write has the target written, unless something is in the way.
func (r *run) write(s State, message string) {
	r.end(s, message)
	switch {
	case r.Suspended:
		r.end(Waiting, "spec.suspend is true: "+r.Record.Title()+" at "+r.Name+" is not changed")
	case r.Failure != "" && r.Final:
		r.end(Refused, r.Failure)
	case r.Failure != "":
		r.end(s, r.Failure)
	}
	if !r.Suspended && !r.Stale && !r.HeldBack {
		r.d.Write, r.d.Expect, r.d.Records = true, slices.Clone(r.standing()), r.target
	}
}

// compare looks whether every server shows what the primary does.
func (r *run) compare() {
	behind := r.behind(func(kind []string) bool { return sameAs(r, kind, r.want) })
	r.d.InSync = len(behind) == 0 && !r.Stale
	switch {
	case r.d.InSync, r.WasPublished && !r.Late:
		r.end(Published, "")
	case len(behind) == 0:
		r.end(Publishing, r.Record.Title()+" at "+r.Name+" is written; whether every server shows it is being looked at")
	default:
		r.end(Publishing, r.Record.Title()+" at "+r.Name+" is not what it should be at every server: "+strings.Join(behind, "; "))
	}
}

// behind says of each server that counts what keeps it from showing the records of the kind that fit.
func (r *run) behind(fits func(kind []string) bool) []string {
	var out []string
	for _, a := range r.Sweep.Answers {
		problem := ""
		switch {
		case a.Ignored:
		case !a.Reachable:
			problem = "gives no usable answer"
			if a.Message != "" {
				problem = a.Message
			}
		case !fits(r.ofKind(a.Data)):
			problem = "shows " + none(shown(r.ofKind(a.Data)))
		case r.Validate && !a.Signed:
			problem = a.Message
			if problem == "" {
				problem = "its answer does not validate"
			}
		}
		if problem != "" {
			out = append(out, a.Server+": "+problem)
		}
	}
	slices.Sort(out)
	return out
}

func none(text string) string {
	if text == "" {
		return "no such record"
	}
	return text
}

// remove decides on records of which none that is ours is to stand.
func (r *run) remove() {
	for _, d := range r.standing() {
		if !r.ours(d) || !slices.Contains(r.ofKind([]string{d}), d) {
			r.target = append(r.target, d)
		}
	}
	slices.Sort(r.target)
	if !sameData(r.target, r.standing()) {
		r.write(Removing, r.Record.Title()+" is being removed at "+r.Name)
		return
	}
	behind := r.behind(func(kind []string) bool { return !slices.ContainsFunc(kind, r.ours) })
	switch {
	case len(behind) > 0:
		r.end(Removing, r.Record.Title()+" at "+r.Name+" is not gone from every server: "+strings.Join(behind, "; "))
	case r.Stale:
		r.end(Removing, r.Record.Title()+" at "+r.Name+" is removed; whether it is gone from every server is being looked at")
	default:
		r.end(NotManaged, "")
		r.d.Gone = true
	}
}

// own finds what to remember as ours: what is about to be written, and what of ours may still stand. What was there
// before us and says what is wanted becomes ours with adopt alone: without, it would be removed with the MailDomain.
func (r *run) own() {
	if r.Goal == Look || r.d.Gone {
		return
	}
	r.d.Own = append(r.stillOwn(), r.newlyOwn()...)
	slices.Sort(r.d.Own)
	r.d.Own = slices.Compact(r.d.Own)
}

// stillOwn are the records of ours that may still stand, or come back as wanted.
func (r *run) stillOwn() []string {
	own := slices.Clone(r.Own)
	if r.Lost {
		own = append(own, r.d.Wanted...)
	}
	if !r.certain() || r.primary == nil {
		return own
	}
	return slices.DeleteFunc(own, func(d string) bool {
		wanted := r.Goal == Keep && slices.Contains(r.want, d)
		return !wanted && !slices.Contains(r.d.Found, d)
	})
}

// newlyOwn are the records that become ours by what is about to be written, or taken over.
func (r *run) newlyOwn() []string {
	if r.Goal != Keep || !r.d.Write && (!r.Adopt || !r.d.InSync) {
		return nil
	}
	return slices.DeleteFunc(r.ofKind(r.target), func(d string) bool { return !r.Adopt && slices.Contains(r.standing(), d) })
}

// certain says that it is known what every server that counts shows now.
func (r *run) certain() bool { return r.Sweep != nil && !r.Stale && r.wholly() }

// wholly says that every server that counts has answered.
func (r *run) wholly() bool {
	return !slices.ContainsFunc(r.Sweep.Answers, func(a Answer) bool { return !a.Reachable && !a.Ignored })
}

// sameData says whether two RRsets are the same.
func sameData(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// sameAs says whether records of the kind say what some say, each of them once.
func sameAs(r *run, kind, some []string) bool {
	return len(kind) == len(some) && !slices.ContainsFunc(some, func(s string) bool { return !r.has(kind, s) })
}
