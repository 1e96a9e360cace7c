package main

import (
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
		{"what works", "", []string{kept, posted}},
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
