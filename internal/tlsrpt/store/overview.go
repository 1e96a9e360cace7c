package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Scope is what an Overview is about.
type Scope struct {
	// Domain is the mail domain, Hosts are its mail servers. Reports count that are about any of them.
	Domain string
	Hosts  []string
	// Since is when the time begins: a report counts that came in after it, and covers a time that ended after it.
	Since time.Time
}

// names are those that reports count of.
func (s Scope) names() []string { return append([]string{s.Domain}, s.Hosts...) }

// Overview is what reports say of one mail domain. However many they are, and whatever is in them, it is small.
type Overview struct {
	// Last is when the newest came in, be it before the time; zero when none ever did.
	Last               time.Time
	Reports            int64
	Successful, Failed int64
	Results            []ResultTotal
	Hosts              []HostTotal
	Organizations      []OrganizationTotal
	Failures           []Failure
}

// ResultTotal is how many sessions failed in one way; Proved is how many of them a signature proves.
type ResultTotal struct {
	Policy, Result   string
	Sessions, Proved int64
}

// HostTotal is how many sessions failed with a mail server of the scope; Host is empty for all others together.
type HostTotal struct {
	Host     string
	Sessions int64
	// LastDANE is when the newest report came in that a signature proves and that tells of a failure of DANE there,
	// whichever domain of ours it is about. Zero without one.
	LastDANE time.Time
}

// OrganizationTotal is what one organization said; Name is empty for all beyond MaxOrganizations together. Proof is the
// domain whose signature its reports had; empty when nothing proves who made them.
type OrganizationTotal struct {
	Name, Proof        string
	Successful, Failed int64
}

// What an Overview holds at the most.
const (
	MaxResults       = 48
	MaxOrganizations = 16
	MaxFailures      = 16
)

// counted are the reports of a time about some names. A report that is there with a proof counts with it alone.
const counted = ` r.ended >= ? AND r.received >= ?
	AND (r.proof <> '' OR NOT EXISTS (SELECT 1 FROM report p WHERE p.same = r.same AND p.proof <> ''))`

const (
	fromOutcomes = ` FROM report r JOIN outcome o ON o.report = r.id `
	fromFailures = fromOutcomes + `JOIN failure f ON f.report = o.report AND f.number = o.number `
	// isDANE are failures of DANE: all under a policy of TLSA records, and those of the results that are about nothing
	// else (RFC 8460 section 4.3.2.1).
	isDANE = ` r.proof <> '' AND f.sessions > 0 AND (o.policy = 'tlsa' OR f.result IN ('tlsa-invalid', 'dnssec-invalid', 'dane-required')) `
	// Sums are of floating point: anybody may claim numbers that overflow an integer.
	successful = `SUM(CAST(o.successful AS DOUBLE PRECISION))`
	failed     = `SUM(CAST(o.failed AS DOUBLE PRECISION))`
	sessions   = `SUM(CAST(f.sessions AS DOUBLE PRECISION))`
)

// maxSessions is the largest number of sessions that is told. Programs that read JSON know all numbers up to it.
const maxSessions = 1e15

func whole(sum float64) int64 { return int64(min(max(sum, 0), maxSessions)) }

// query is a question to the database in the making.
type query struct {
	text strings.Builder
	args []any
}

func (q *query) add(text string, args ...any) *query {
	q.text.WriteString(text)
	q.args = append(q.args, args...)
	return q
}

// list adds the names as a list of SQL.
func (q *query) list(names []string) *query {
	if len(names) == 0 {
		return q.add("(NULL)")
	}
	q.add("(" + strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ") + ")")
	for _, n := range names {
		q.args = append(q.args, n)
	}
	return q
}

// within limits it to the reports of a scope's time.
func (q *query) within(s Scope) *query { return q.add(counted, s.Since.Unix(), s.Since.Unix()) }

// about limits it to the reports of a scope.
func (q *query) about(s Scope) *query {
	return q.add(" WHERE o.subject IN ").list(s.names()).add(" AND").within(s)
}

// each asks, and calls read for each row.
func (s *Store) each(ctx context.Context, q *query, read func(*sql.Rows) error) error {
	rows, err := s.db.QueryContext(ctx, s.bind(q.text.String()), q.args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Overview tells what reports say.
func (s *Store) Overview(ctx context.Context, of Scope) (Overview, error) {
	var out Overview
	for _, part := range []func(context.Context, Scope, *Overview) error{s.totals, s.results, s.hosts, s.organizations, s.failures} {
		if err := part(ctx, of, &out); err != nil {
			return Overview{}, fmt.Errorf("reading the store of reports about %s: %w", of.Domain, err)
		}
	}
	return out, nil
}

func (s *Store) totals(ctx context.Context, of Scope, out *Overview) error {
	last := new(query).add("SELECT MAX(r.received)" + fromOutcomes + "WHERE o.subject IN ").list(of.names())
	err := s.each(ctx, last, func(rows *sql.Rows) error {
		var at sql.NullInt64
		err := rows.Scan(&at)
		if at.Valid {
			out.Last = time.Unix(at.Int64, 0).UTC()
		}
		return err
	})
	if err != nil || out.Last.IsZero() {
		return err
	}
	totals := new(query).add("SELECT COUNT(DISTINCT r.id), " + successful + ", " + failed + fromOutcomes).about(of)
	return s.each(ctx, totals, func(rows *sql.Rows) error {
		var ok, bad sql.NullFloat64
		err := rows.Scan(&out.Reports, &ok, &bad)
		out.Successful, out.Failed = whole(ok.Float64), whole(bad.Float64)
		return err
	})
}

func (s *Store) results(ctx context.Context, of Scope, out *Overview) error {
	q := new(query).add("SELECT o.policy, f.result, "+sessions+", SUM(CASE WHEN r.proof <> '' THEN CAST(f.sessions AS DOUBLE PRECISION) ELSE 0 END)"+fromFailures).
		about(of).add(" GROUP BY o.policy, f.result ORDER BY 3 DESC, o.policy, f.result LIMIT ?", MaxResults)
	return s.each(ctx, q, func(rows *sql.Rows) error {
		var t ResultTotal
		var all, proved float64
		err := rows.Scan(&t.Policy, &t.Result, &all, &proved)
		t.Sessions, t.Proved = whole(all), whole(proved)
		out.Results = append(out.Results, t)
		return err
	})
}

// hosts are in the order of the scope.
func (s *Store) hosts(ctx context.Context, of Scope, out *Overview) error {
	failed, err := s.failedAt(ctx, of)
	if err != nil {
		return err
	}
	last, err := s.lastDANE(ctx, of)
	if err != nil {
		return err
	}
	for _, host := range append(of.Hosts[:len(of.Hosts):len(of.Hosts)], "") {
		if t := (HostTotal{Host: host, Sessions: failed[host], LastDANE: last[host]}); t.Sessions > 0 || !t.LastDANE.IsZero() {
			out.Hosts = append(out.Hosts, t)
		}
	}
	return nil
}

// failedAt says how many sessions failed with each host.
func (s *Store) failedAt(ctx context.Context, of Scope) (map[string]int64, error) {
	out := map[string]int64{}
	q := new(query).add("SELECT CASE WHEN f.host IN ").list(of.Hosts).add(" THEN f.host ELSE '' END AS host, " + sessions + fromFailures).
		about(of).add(" GROUP BY 1")
	return out, s.each(ctx, q, func(rows *sql.Rows) error {
		var host string
		var n float64
		err := rows.Scan(&host, &n)
		out[host] = whole(n)
		return err
	})
}

// lastDANE says when the newest proof of a failure of DANE came in for each host. What is reported of the domain
// without a host counts for all of them.
func (s *Store) lastDANE(ctx context.Context, of Scope) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	// note takes the newest report of a name, which is about these hosts.
	note := func(hostsOf func(string) []string) func(*sql.Rows) error {
		return func(rows *sql.Rows) error {
			var name string
			var received int64
			err := rows.Scan(&name, &received)
			for _, host := range hostsOf(name) {
				out[host] = latest(out[host], time.Unix(received, 0).UTC())
			}
			return err
		}
	}
	named := new(query).add("SELECT f.host, MAX(r.received)" + fromFailures + "WHERE f.host IN ").list(of.Hosts).
		add(" AND" + isDANE + "AND").within(of).add(" GROUP BY f.host")
	if err := s.each(ctx, named, note(func(host string) []string { return []string{host} })); err != nil {
		return nil, err
	}
	unnamed := new(query).add("SELECT o.subject, MAX(r.received)" + fromFailures).about(of).
		add(" AND f.host = '' AND" + isDANE + "GROUP BY o.subject")
	return out, s.each(ctx, unnamed, note(func(subject string) []string {
		if subject == of.Domain {
			return of.Hosts
		}
		return []string{subject}
	}))
}

func (s *Store) organizations(ctx context.Context, of Scope, out *Overview) error {
	q := new(query).add("SELECT r.organization, r.proof, "+successful+", "+failed+fromOutcomes).about(of).
		add(` GROUP BY r.organization, r.proof
			ORDER BY CASE WHEN r.proof <> '' THEN 0 ELSE 1 END, 4 DESC, 3 DESC, r.organization, r.proof LIMIT ?`, MaxOrganizations+1)
	rest := OrganizationTotal{Successful: out.Successful, Failed: out.Failed}
	more := false
	err := s.each(ctx, q, func(rows *sql.Rows) error {
		var t OrganizationTotal
		var ok, bad float64
		err := rows.Scan(&t.Name, &t.Proof, &ok, &bad)
		t.Successful, t.Failed = whole(ok), whole(bad)
		if more = len(out.Organizations) == MaxOrganizations; !more {
			out.Organizations = append(out.Organizations, t)
			rest.Successful, rest.Failed = max(rest.Successful-t.Successful, 0), max(rest.Failed-t.Failed, 0)
		}
		return err
	})
	if more {
		out.Organizations = append(out.Organizations, rest)
	}
	return err
}
