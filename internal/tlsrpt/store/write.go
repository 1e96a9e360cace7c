package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
)

// maxTogether is how many reports are written in one transaction: what takes time is making it last.
const maxTogether = 256

// writeWithin is how long a transaction may take.
const writeWithin = 30 * time.Second

// job is a report that somebody waits for.
type job struct {
	item  Item
	reply chan<- outcome
}

type outcome struct {
	added bool
	err   error
}

// Add keeps a report, and says whether it was new. When it returns without an error the report lasts. With an error
// nothing of it was kept, or, when ctx ended before, perhaps all of it.
func (s *Store) Add(ctx context.Context, item Item) (bool, error) {
	reply := make(chan outcome, 1)
	select {
	case s.jobs <- job{item, reply}:
	case <-s.closing:
		return false, ErrClosed
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case o := <-reply:
		return o.added, o.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// write writes what is waiting, together, until the store is closed.
func (s *Store) write() {
	defer close(s.done)
	for {
		select {
		case j := <-s.jobs:
			s.writeAll(s.together(j))
		case <-s.closing:
			return
		}
	}
}

// together is a report and those that wait at the moment.
func (s *Store) together(first job) []job {
	jobs := []job{first}
	for len(jobs) < maxTogether {
		select {
		case j := <-s.jobs:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

func (s *Store) writeAll(jobs []job) {
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	added := make([]bool, len(jobs))
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		for i, j := range jobs {
			var err error
			if added[i], err = s.insert(ctx, tx, j.item); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("writing to the store of reports: %w", err)
	}
	for i, j := range jobs {
		j.reply <- outcome{added: added[i] && err == nil, err: err}
	}
}

// insert writes one report, unless it is there.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, item Item) (bool, error) {
	r, o := item.Report, item.Origin
	same := digest(r.Organization, r.ID, fmt.Sprint(r.Start.Unix()), fmt.Sprint(r.End.Unix()))
	id := digest(same, o.Proof)
	result, err := tx.ExecContext(ctx, s.bind(`INSERT INTO report
		(id, same, organization, report_id, began, ended, received, source, proof)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		id, same, r.Organization, r.ID, r.Start.Unix(), r.End.Unix(), o.At.Unix(), o.Source, o.Proof)
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	for i, p := range r.Policies {
		if i >= len(item.Subjects) || item.Subjects[i] == "" {
			continue
		}
		if err := s.insertPolicy(ctx, tx, id, i, item.Subjects[i], p); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *Store) insertPolicy(ctx context.Context, tx *sql.Tx, id string, number int, subject string, p tlsrpt.Policy) error {
	_, err := tx.ExecContext(ctx, s.bind(`INSERT INTO outcome
		(report, number, subject, policy, successful, failed) VALUES (?, ?, ?, ?, ?, ?)`),
		id, number, subject, string(p.Type), p.Successful, p.Failed)
	for part, f := range p.Detailed() {
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.bind(`INSERT INTO failure
			(report, number, part, result, host, sessions, reason, information, sending_ip, receiving_ip)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
			id, number, part, string(f.Result), f.ReceivingMX, f.Sessions, f.Reason, f.Information, f.SendingIP, f.ReceivingIP)
	}
	return err
}

// digest is a key made of some texts, whatever they hold.
func digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:%s", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Prune takes away the reports that came in before a time, and says how many there were.
func (s *Store) Prune(ctx context.Context, before time.Time) (int64, error) {
	result, err := s.db.ExecContext(ctx, s.bind(`DELETE FROM report WHERE received < ?`), before.Unix())
	if err != nil {
		return 0, fmt.Errorf("taking old reports out of the store: %w", err)
	}
	return result.RowsAffected()
}
