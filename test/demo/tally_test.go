package main

import (
	"bytes"
	"strings"
	"testing"
)

// act is an act in which every connection came about, with two answers in hand each.
func act(name string, connections int) tally {
	return tally{act: name, checks: 2 * connections, verified: connections}
}

// TestVerdict: exit code 0 only with checks, without a mismatch, and with a server that was there.
func TestVerdict(t *testing.T) {
	before := tally{}
	rows := []struct {
		reason string
		found  []tally
		line   string
		code   int
	}{
		{"checks in every act and no mismatch", []tally{before, act("1", 5), act("2", 1)}, "12 sender checks, 0 mismatches", 0},
		{"nothing was checked at all", []tally{before}, "0 sender checks, 0 mismatches", 1},
		{"no act was played to an end", nil, "0 sender checks, 0 mismatches", 1},
		{"one mismatch among many checks", []tally{act("1", 500), {act: "2", checks: 9, mismatches: 1, verified: 8}}, "1009 sender checks, 1 mismatches", 1},
		{"a mismatch before the first act", []tally{{checks: 1, mismatches: 1}, act("1", 5)}, "11 sender checks, 1 mismatches", 1},
		{"every check a mismatch", []tally{{act: "1", checks: 3, mismatches: 3}}, "3 sender checks, 3 mismatches", 1},
		{"an act without a check", []tally{act("1", 5), act("2", 0), act("3", 5)}, "20 sender checks, 0 mismatches", 1},
		{"an act in which the server was never there", []tally{act("1", 5), {act: "2", unreachable: 7}}, "10 sender checks, 0 mismatches", 1},
		{"an act in which it was there as often as not", []tally{act("1", 5), {act: "2", checks: 7, verified: 7, unreachable: 7}}, "17 sender checks, 0 mismatches", 1},
		{"one connection that broke off", []tally{act("1", 5), {act: "2", checks: 7, verified: 7, unreachable: 1}}, "17 sender checks, 0 mismatches", 0},
		{"the server was stopped after the play", []tally{act("1", 5), {unreachable: 100}}, "10 sender checks, 0 mismatches", 0},
	}
	for _, row := range rows {
		var out, stderr bytes.Buffer
		code := exitCode(&stderr, finish(&out, row.found))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if last := lines[len(lines)-1]; last != row.line {
			t.Errorf("%s: the last line is %q, want %q", row.reason, last, row.line)
		}
		if code != row.code {
			t.Errorf("%s: exit code %d, want %d; it said %q", row.reason, code, row.code, stderr.String())
		}
		if (stderr.Len() > 0) != (row.code != 0) {
			t.Errorf("%s: exit code %d came with the words %q", row.reason, row.code, stderr.String())
		}
		requireUnreachable(t, row.reason, out.String(), total(row.found).unreachable)
	}
}

// requireUnreachable: connections that came to nothing are told of when there are any, and only then.
func requireUnreachable(t *testing.T, reason, out string, unreachable int) {
	t.Helper()
	if told := strings.Contains(out, "could not reach the server"); told != (unreachable > 0) {
		t.Errorf("%s: %d connections came to nothing, and the output is %q", reason, unreachable, out)
	}
}
