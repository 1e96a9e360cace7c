package plugin

import (
	"fmt"
	"io"
	"strings"

	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// writeParts writes the grades of the domain as a table, and below it what was found of each record.
func writeParts(out io.Writer, parts []sendercheck.PartReport) error {
	if len(parts) == 0 {
		return nil
	}
	section(out, "All of the domain")
	var rows [][]string
	for _, p := range parts {
		rows = append(rows, []string{strings.TrimSpace(string(p.Part) + " " + p.Selector), string(p.Grade), p.Advice})
	}
	if err := table(out, []string{"Part", "Grade", "Advice"}, rows); err != nil {
		return err
	}
	for _, p := range parts {
		writePart(out, p)
	}
	return nil
}

// writePart writes a record, what belongs to it, and every problem with it.
func writePart(out io.Writer, p sendercheck.PartReport) {
	if p.Record == "" && len(p.Problems) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s at %s (%s)\n", paint(out, heading, string(p.Part)), p.At, p.DNSSEC)
	if p.Record != "" {
		fmt.Fprintf(out, "  %s\n", p.Record)
	}
	if policy := p.Policy; policy != nil && policy.Mode != "" {
		fmt.Fprintf(out, "  policy: mode %s, max_age %d, mx %s\n", policy.Mode, policy.MaxAgeSeconds, strings.Join(policy.MX, ", "))
	}
	if spf := p.SPF; spf != nil {
		writeLookups(out, spf)
	}
	for _, problem := range p.Problems {
		fmt.Fprintf(out, "  %s: %s\n", paint(out, attention, string(problem.Severity)), problem.Error())
	}
}

func writeLookups(out io.Writer, spf *sendercheck.SPFReport) {
	var terms []string
	for _, t := range spf.Terms {
		terms = append(terms, fmt.Sprintf("%s %d", t.Term, t.Lookups))
	}
	fmt.Fprintf(out, "  lookups: %d, %d of them void", spf.Lookups, spf.VoidLookups)
	if len(terms) > 0 {
		fmt.Fprintf(out, " (%s)", strings.Join(terms, ", "))
	}
	fmt.Fprintln(out)
	if len(spf.NotFollowed) > 0 {
		fmt.Fprintf(out, "  not followed, since it depends on the message: %s\n", strings.Join(spf.NotFollowed, ", "))
	}
}
