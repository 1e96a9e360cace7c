package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFlagsOfReports wants what cannot work to be refused with what to do about it, before anything starts.
func TestFlagsOfReports(t *testing.T) {
	kept, posted := "--database=/data/r.db", "--https-bind-address=:8080"
	for _, c := range []struct {
		why, want string
		args      []string
	}{
		{"nowhere to keep reports", "say where to keep reports", []string{posted}},
		{"two places", "say where to keep reports", []string{kept, "--database-dsn-file=/dsn", posted}},
		{"a password among the flags", "--database-dsn-file: others can see the flags", []string{"--database=postgres://me:secret@host/db", posted}},
		{"no way in", "say how reports come", []string{kept}},
		{"mail to nobody", "say which address", []string{kept, "--lmtp-bind-address=:24"}},
		{"forgotten before they come", "kept a day at the least", []string{kept, posted, "--retention=1h"}},
		{"nothing may come", "are above 0", []string{kept, posted, "--rate=0"}},
		{"no pause between two writes", "--status-every is above 0", []string{kept, posted, "--status-every=0s"}},
		{"no address", `--address "foo": want an address such as tlsrpt@example.com`, []string{kept, "--lmtp-bind-address=:24", "--address=foo"}},
		{"an address with a name", "the address alone is a@example.com", []string{kept, "--lmtp-bind-address=:24", "--address=Reports <a@example.com>"}},
		{"the second is none", `--address "b@exa_mple.com"`, []string{kept, "--lmtp-bind-address=:24", "--address=a@example.com", "--address=b@exa_mple.com"}},
		{"an address where a network is wanted", `--trusted-proxy "10.0.0.1": want a network such as 10.0.0.0/8`, []string{kept, posted, "--trusted-proxy=10.0.0.1"}},
		{"a port alone", `--https-bind-address "8080": want ADDRESS:PORT`, []string{kept, "--https-bind-address=8080"}},
		{"a port that is none", `--smtp-bind-address ":70000"`, []string{kept, "--smtp-bind-address=:70000", "--address=a@example.com"}},
		{"a host that is none", `--lmtp-bind-address "a b:24"`, []string{kept, "--lmtp-bind-address=a b:24", "--address=a@example.com"}},
		{"metrics nowhere", `--metrics-bind-address "metrics"`, []string{kept, posted, "--metrics-bind-address=metrics"}},
		{"health nowhere", `--health-probe-bind-address "yes"`, []string{kept, posted, "--health-probe-bind-address=yes"}},
		{"a certificate for metrics without TLS", "--metrics-cert-dir needs --metrics-secure", []string{kept, posted, "--metrics-cert-dir=/tls"}},
		{"no namespace", `--namespace "Mail"`, []string{kept, posted, "--namespace=Mail"}},
		{"no host name", `--mail-name "mx 1"`, []string{kept, posted, "--mail-name=mx 1"}},
		{"no certificate", "--tls-cert-dir /nowhere: ", []string{kept, posted, "--tls-cert-dir=/nowhere"}},
		{"what works", "", []string{kept, posted}},
		{"addresses of every kind", "", []string{kept, "--https-bind-address=[::1]:8443", "--smtp-bind-address=192.0.2.1:smtp", "--lmtp-bind-address=localhost:24", "--address=tls-rpt+a@Example.com",
			"--metrics-bind-address=0", "--health-probe-bind-address=0", "--namespace=mail", "--mail-name=MX1.example.com", "--trusted-proxy=10.0.0.0/8,2001:db8::/32"}},
		{"all at once", "", []string{"--database-dsn-file=/dsn", posted, "--lmtp-bind-address=:24", "--address=a@example.com"}},
	} {
		o := &reportsOptions{}
		cmd := newReportsCommand()
		cmd.ResetFlags()
		o.addFlags(cmd)
		if err := cmd.ParseFlags(c.args); err != nil {
			t.Fatal(err)
		}
		err := o.check()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v, want %q", c.why, err, c.want)
		}
	}
}

// TestDSNFile: what the file holds is looked at before anything starts, and never shown.
func TestDSNFile(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"the way to PostgreSQL", "postgres://me:secret@host/db\n", ""},
		{"a file of SQLite", "/data/secret.db", "does not hold postgres://"},
		{"nothing", "", "does not hold postgres://"},
	} {
		file := filepath.Join(t.TempDir(), "dsn")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := (&reportsOptions{databaseFile: file}).dsn()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")) || err == nil && got != strings.TrimSpace(c.text) {
			t.Errorf("%s: %q, %v", c.why, got, err)
		}
	}
	o := &reportsOptions{databaseFile: filepath.Join(t.TempDir(), "none")}
	if _, err := o.dsn(); err == nil || !strings.Contains(err.Error(), "--database-dsn-file") {
		t.Errorf("a file that is not there: %v", err)
	}
}
