package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

var day = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// dsnOf is a new store of each kind: always SQLite, and PostgreSQL where DANE_TEST_POSTGRES names a server.
func dsnOf(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"SQLite": filepath.Join(t.TempDir(), "reports?#%41.db")}
	if server := os.Getenv("DANE_TEST_POSTGRES"); server != "" {
		out["PostgreSQL"] = newDatabase(t, server)
	}
	return out
}

// newDatabase makes an empty database on a server.
func newDatabase(t *testing.T, server string) string {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := fmt.Sprintf("reports_%d", time.Now().UnixNano())
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return server[:strings.LastIndex(server, "/")+1] + name
}

func open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// eachKind runs a test on each kind of store.
func eachKind(t *testing.T, test func(t *testing.T, dsn string)) {
	for kind, dsn := range dsnOf(t) {
		t.Run(kind, func(t *testing.T) { test(t, dsn) })
	}
}

// item is a report of an organization about example.com, with two sessions that failed of twelve.
func item(organization, id, proof string) store.Item {
	return store.Item{
		Report: tlsrpt.Report{
			Organization: organization, ID: id, Start: day, End: day.Add(24*time.Hour - time.Second),
			Policies: []tlsrpt.Policy{
				{Type: tlsrpt.TLSA, Domain: "example.com", Successful: 10, Failed: 2, Failures: []tlsrpt.Failure{
					{Result: tlsrpt.TLSAInvalid, Sessions: 2, ReceivingMX: "mx1.example.com", Reason: "it's \"no\" match"},
				}},
				{Type: tlsrpt.STS, Domain: "other.example", Successful: 1000},
			},
		},
		Subjects: []string{"example.com", ""},
		Origin:   store.Origin{At: day.Add(30 * time.Hour), Source: "192.0.2.1", Proof: proof},
	}
}

func add(t *testing.T, s *store.Store, i store.Item) bool {
	t.Helper()
	added, err := s.Add(context.Background(), i)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

// overview is what the store tells of a domain and hosts since the day began.
func overview(t *testing.T, s *store.Store, domain string, hosts ...string) store.Overview {
	t.Helper()
	out, err := s.Overview(context.Background(), store.Scope{Domain: domain, Hosts: hosts, Since: day})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A report is kept once, with what it says of names that are ours, and lasts.
func TestKept(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		if !add(t, s, item("Sender", "1", "sender.example")) || add(t, s, item("Sender", "1", "sender.example")) {
			t.Error("a report is new the first time alone")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dsn)
		if add(t, s, item("Sender", "1", "sender.example")) {
			t.Error("after a restart the report was new")
		}
		got := overview(t, s, "example.com", "mx1.example.com")
		came := day.Add(30 * time.Hour)
		want := store.Overview{
			Last: came, Reports: 1, Successful: 10, Failed: 2,
			Results:       []store.ResultTotal{{Policy: "tlsa", Result: "tlsa-invalid", Sessions: 2, Proved: 2}},
			Hosts:         []store.HostTotal{{Host: "mx1.example.com", Sessions: 2, LastDANE: came}},
			Organizations: []store.OrganizationTotal{{Name: "Sender", Proof: "sender.example", Successful: 10, Failed: 2}},
			Failures: []store.Failure{{
				Proof: "sender.example", Organization: "Sender", Host: "mx1.example.com", Result: "tlsa-invalid", Sessions: 2,
				From: day, To: day.Add(24*time.Hour - time.Second), Last: came,
			}},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := overview(t, s, "other.example"); fmt.Sprint(got) != fmt.Sprint(store.Overview{}) {
			t.Errorf("what is not ours was kept: %v", got)
		}
	})
}

// A report that anybody posted counts until the same comes with a proof; it never keeps that from being taken.
func TestForgedReportYieldsToTrueOne(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		forged := item("Sender", "1", "")
		forged.Report.Policies[0].Failed = 0
		forged.Report.Policies[0].Failures = nil
		if !add(t, s, forged) {
			t.Fatal("the forged one was not new")
		}
		if got := overview(t, s, "example.com"); got.Reports != 1 || got.Failed != 0 || got.Organizations[0].Proof != "" {
			t.Errorf("with the forged one alone: %v", got)
		}
		if !add(t, s, item("Sender", "1", "sender.example")) {
			t.Error("the true one was taken for the forged one")
		}
		if got := overview(t, s, "example.com"); got.Reports != 1 || got.Failed != 2 || got.Organizations[0].Proof == "" {
			t.Errorf("with both: %v", got)
		}
	})
}

// Reports of other times and other organizations are others.
func TestToldApart(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		later := item("Sender", "1", "")
		later.Report.Start, later.Report.End = day.AddDate(0, 0, 1), day.AddDate(0, 0, 2)
		for i, one := range []store.Item{item("Sender", "1", ""), item("Sender", "2", ""), item("Sende", "r1", ""), later} {
			if !add(t, s, one) {
				t.Errorf("report %d was taken for another", i)
			}
		}
	})
}

// Old reports are forgotten with all that belongs to them.
func TestPrune(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		old := item("Sender", "1", "")
		old.Origin.At = day
		add(t, s, old)
		add(t, s, item("Sender", "2", ""))
		if n, err := s.Prune(context.Background(), day.Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("forgot %d, %v", n, err)
		}
		if got := overview(t, s, "example.com"); len(got.Results) != 1 || got.Results[0].Sessions != 2 || got.Reports != 1 {
			t.Errorf("left: %v", got)
		}
		if !add(t, s, old) {
			t.Error("what was forgotten is still known")
		}
	})
}

// Many at once are all kept, each once.
func TestManyAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		var wait sync.WaitGroup
		var mu sync.Mutex
		added := 0
		for i := range 400 {
			wait.Go(func() {
				ok, err := s.Add(context.Background(), item("Sender", fmt.Sprint(i/2), ""))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					added++
				}
			})
		}
		wait.Wait()
		if got := overview(t, s, "example.com"); added != 200 || got.Reports != 200 {
			t.Errorf("%d were new, and %d are there", added, got.Reports)
		}
	})
}

// raw is the database of a store that is closed.
func raw(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	path := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(dsn)
	if store.IsPostgreSQL(dsn) {
		driver, path = "pgx", dsn
	}
	db, err := sql.Open(driver, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// A store of the first version is brought up to this one, with the reports that are in it, and once.
func TestEarlierVersion(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		add(t, s, item("Sender", "1", "sender.example"))
		before := overview(t, s, "example.com", "mx1.example.com")
		s.Close()
		db := raw(t, dsn)
		versions := func() (n int) {
			if err := db.QueryRow(`SELECT MAX(version) FROM schema_version`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		now := versions()
		for _, undo := range []string{`DROP INDEX failure_host`, `DELETE FROM schema_version WHERE version > 1`} {
			if _, err := db.Exec(undo); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			s = open(t, dsn)
			if after := overview(t, s, "example.com", "mx1.example.com"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("got  %v\nwant %v", after, before)
			}
			if add(t, s, item("Sender", "1", "sender.example")) {
				t.Error("the report is not known any more")
			}
			s.Close()
		}
		if got := versions(); got != now || now < 2 {
			t.Errorf("its version is %d, want %d", got, now)
		}
		if _, err := db.Exec(`DROP INDEX failure_host`); err != nil {
			t.Errorf("what the second version brings is not there: %v", err)
		}
	})
}

// A store of a later version is left alone.
func TestLaterVersion(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		s.Close()
		db := raw(t, dsn)
		if _, err := db.Exec(`INSERT INTO schema_version (version) VALUES (1000)`); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(context.Background(), dsn); err == nil || !strings.Contains(err.Error(), "version 1000") {
			t.Errorf("opened, or: %v", err)
		}
	})
}

// Who adds to a closed store is told; a database that cannot be opened is named without its password.
func TestErrors(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "reports.db"))
	s.Close()
	if _, err := s.Add(context.Background(), item("Sender", "1", "")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "none", "reports.db")); err == nil {
		t.Error("a folder that is not there was opened")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, dsn := range []string{"postgres://me:hunter2@127.0.0.1:1/reports", "postgres://me:hunter2@%zz/x", "postgres://me:hunter2@127.0.0.1:1/reports?sslmode=no"} {
		if _, err := store.Open(ctx, dsn); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// How many reports a second last, when many come at once.
func BenchmarkAdd(b *testing.B) {
	s, err := store.Open(context.Background(), filepath.Join(b.TempDir(), "reports.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetParallelism(64)
	var mu sync.Mutex
	n := 0
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			id := fmt.Sprint(n)
			mu.Unlock()
			if _, err := s.Add(context.Background(), item("Sender", id, "")); err != nil {
				b.Error(err)
			}
		}
	})
}
