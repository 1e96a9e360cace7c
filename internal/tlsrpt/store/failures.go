package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// Failure is a time in which sessions failed alike, in reports that a signature proves, of DANE.
type Failure struct {
	// Proof is the domain that signed the reports, Organization what it calls itself.
	Proof, Organization string
	// Host is the mail server; empty where it is not told.
	Host, Result string
	Sessions     int64
	// From and To are the time that the reports cover together, Last is when the newest of them came in.
	From, To, Last time.Time
}

const (
	// maxFailureRows is how many are read, the newest first, to be joined.
	maxFailureRows = 512
	// apart is how much time may lie between two reports that tell of one time: they cover a day each, up to its last
	// second.
	apart = time.Hour
)

func (s *Store) failures(ctx context.Context, of Scope, out *Overview) error {
	q := new(query).add("SELECT r.proof, r.organization, f.host, f.result, "+sessions+", r.began, r.ended, MAX(r.received)"+fromFailures).about(of).
		add(" AND"+isDANE+`GROUP BY r.proof, r.organization, f.host, f.result, r.began, r.ended
			ORDER BY r.ended DESC, r.proof, r.organization, f.host, f.result, r.began LIMIT ?`, maxFailureRows)
	var all []Failure
	err := s.each(ctx, q, func(rows *sql.Rows) error {
		var f Failure
		var n float64
		var began, ended, received int64
		err := rows.Scan(&f.Proof, &f.Organization, &f.Host, &f.Result, &n, &began, &ended, &received)
		f.Sessions, f.Last = whole(n), time.Unix(received, 0).UTC()
		// Nobody can tell of what is still to come.
		f.To = time.Unix(min(ended, received), 0).UTC()
		f.From = time.Unix(min(began, f.To.Unix()), 0).UTC()
		all = append(all, f)
		return err
	})
	out.Failures = joined(all)
	return err
}

// like compares what failures are about.
func (f Failure) like(o Failure) int {
	return cmp.Or(strings.Compare(f.Proof, o.Proof), strings.Compare(f.Organization, o.Organization),
		strings.Compare(f.Host, o.Host), strings.Compare(f.Result, o.Result))
}

// joined makes one of those that are alike and follow each other, and returns the newest.
func joined(all []Failure) []Failure {
	slices.SortFunc(all, func(a, b Failure) int { return cmp.Or(a.like(b), a.From.Compare(b.From)) })
	var out []Failure
	for _, f := range all {
		if n := len(out) - 1; n >= 0 && out[n].like(f) == 0 && !f.From.After(out[n].To.Add(apart)) {
			before := &out[n]
			before.Sessions = whole(float64(before.Sessions) + float64(f.Sessions))
			before.To, before.Last = latest(before.To, f.To), latest(before.Last, f.Last)
			continue
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Failure) int { return cmp.Or(b.To.Compare(a.To), a.like(b), a.From.Compare(b.From)) })
	return out[:min(len(out), MaxFailures)]
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
