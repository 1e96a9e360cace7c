package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Total is what one organization said of one name under one kind of policy.
type Total struct {
	Subject, Policy, Organization string
	// Proof is the domain whose signature the reports had; empty when nothing proves who made them.
	Proof              string
	Reports            int64
	Successful, Failed int64
	// Last is when the newest of them came in.
	Last time.Time
}

// FailureTotal is how many sessions failed alike.
type FailureTotal struct {
	Subject, Policy, Organization, Proof string
	// Host is the mail host; empty where the report does not tell.
	Host, Result string
	Sessions     int64
	// Began and Ended are the time that the reports cover together.
	Began, Ended time.Time
}

// Summary is what the reports say.
type Summary struct {
	Totals   []Total
	Failures []FailureTotal
}

// counted are the reports of a time about some names. A report that is there with a proof counts with it alone.
const counted = `FROM report r JOIN outcome o ON o.report = r.id %s
	WHERE r.ended >= ? AND o.subject IN (%s)
	AND (r.proof <> '' OR NOT EXISTS (SELECT 1 FROM report p WHERE p.same = r.same AND p.proof <> ''))`

// Summary tells what the reports about some names say whose time ended at since or later.
func (s *Store) Summary(ctx context.Context, subjects []string, since time.Time) (Summary, error) {
	if len(subjects) == 0 {
		return Summary{}, nil
	}
	args := []any{since.Unix()}
	for _, name := range subjects {
		args = append(args, name)
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(subjects)), ", ")
	var out Summary
	err := s.totals(ctx, &out, marks, args)
	if err == nil {
		err = s.failures(ctx, &out, marks, args)
	}
	if err != nil {
		return Summary{}, fmt.Errorf("reading the store of reports: %w", err)
	}
	return out, nil
}

func (s *Store) totals(ctx context.Context, out *Summary, marks string, args []any) error {
	rows, err := s.db.QueryContext(ctx, s.bind(`SELECT o.subject, o.policy, r.organization, r.proof,
		COUNT(DISTINCT r.id), CAST(SUM(o.successful) AS BIGINT), CAST(SUM(o.failed) AS BIGINT), MAX(r.received) `+
		fmt.Sprintf(counted, "", marks)+` GROUP BY o.subject, o.policy, r.organization, r.proof
		ORDER BY o.subject, o.policy, r.organization, r.proof`), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var t Total
		var last int64
		if err := rows.Scan(&t.Subject, &t.Policy, &t.Organization, &t.Proof, &t.Reports, &t.Successful, &t.Failed, &last); err != nil {
			return err
		}
		t.Last = time.Unix(last, 0).UTC()
		out.Totals = append(out.Totals, t)
	}
	return rows.Err()
}

func (s *Store) failures(ctx context.Context, out *Summary, marks string, args []any) error {
	rows, err := s.db.QueryContext(ctx, s.bind(`SELECT o.subject, o.policy, r.organization, r.proof, f.host, f.result,
		CAST(SUM(f.sessions) AS BIGINT), MIN(r.began), MAX(r.ended) `+
		fmt.Sprintf(counted, "JOIN failure f ON f.report = o.report AND f.number = o.number", marks)+`
		GROUP BY o.subject, o.policy, r.organization, r.proof, f.host, f.result
		ORDER BY o.subject, o.policy, r.organization, r.proof, f.host, f.result`), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var f FailureTotal
		var began, ended int64
		if err := rows.Scan(&f.Subject, &f.Policy, &f.Organization, &f.Proof, &f.Host, &f.Result, &f.Sessions, &began, &ended); err != nil {
			return err
		}
		f.Began, f.Ended = time.Unix(began, 0).UTC(), time.Unix(ended, 0).UTC()
		out.Failures = append(out.Failures, f)
	}
	return rows.Err()
}
