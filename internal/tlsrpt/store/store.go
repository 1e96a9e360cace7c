// Package store keeps TLS reports that were taken in, in SQLite (one file) or in PostgreSQL, and tells what they say
// of some names in a time.
//
// A report is kept once: the same report sent again changes nothing. Reports that a signature proves and reports that
// anybody may have posted are kept apart, so that a forged one cannot take the place of a true one before it arrives.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
)

// Origin is how a report came in.
type Origin struct {
	// At is when.
	At time.Time
	// Source is the address that sent it.
	Source string
	// Proof is the domain whose DKIM signature the report had; empty when nothing proves who made it.
	Proof string
}

// Item is a report to keep. Subjects has, for each of its policies, the name that the policy is about, one that is
// ours; a policy whose subject is empty is left out.
type Item struct {
	Report   tlsrpt.Report
	Subjects []string
	Origin   Origin
}

// ErrClosed is given to those who add to a store that has been closed.
var ErrClosed = errors.New("the store of reports is closed")

// Store keeps reports. It is safe for use by many goroutines.
type Store struct {
	db *sql.DB
	// numbered says that the placeholders are $1, $2, …
	numbered bool
	jobs     chan job
	// closing is closed first, done when the last report is written.
	closing, done chan struct{}
	once          sync.Once
}

// Open opens the store that dsn names: "postgres://…" for PostgreSQL, otherwise the path of a SQLite file, which is
// made if it is not there. The tables are made, or brought up to this version. A store that a later version has
// written is refused.
func Open(ctx context.Context, dsn string) (*Store, error) {
	s := &Store{jobs: make(chan job), closing: make(chan struct{}), done: make(chan struct{})}
	driver := "sqlite"
	if IsPostgreSQL(dsn) {
		driver, s.numbered = "pgx", true
	} else {
		dsn = "file:" + uriPath.Replace(dsn) + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	}
	var err error
	if s.db, err = sql.Open(driver, dsn); err != nil {
		return nil, fmt.Errorf("opening the store of reports: %w", withoutPassword(err))
	}
	s.db.SetMaxOpenConns(4)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store of reports: %w", withoutPassword(err)), s.db.Close())
	}
	go s.write()
	return s, nil
}

// IsPostgreSQL says whether a DSN is one of PostgreSQL.
func IsPostgreSQL(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// uriPath escapes what ends a path in a URI.
var uriPath = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// withoutPassword hides what a driver may tell of a DSN that it cannot read.
func withoutPassword(err error) error {
	if strings.Contains(err.Error(), "postgres://") || strings.Contains(err.Error(), "postgresql://") {
		return errors.New("the DSN of PostgreSQL cannot be read: write postgres://user:password@host/database")
	}
	return err
}

// Close ends the store when the reports that are being added are written.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.done
	return s.db.Close()
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.PingContext(ctx) }

// bind writes the placeholders as the database wants them.
func (s *Store) bind(query string) string {
	if !s.numbered {
		return query
	}
	var out strings.Builder
	n := 0
	for _, r := range query {
		if r != '?' {
			out.WriteRune(r)
			continue
		}
		n++
		fmt.Fprintf(&out, "$%d", n)
	}
	return out.String()
}
