package health

import (
	"cmp"
	"fmt"
	"slices"
)

// add notes a finding at a server.
func (l *look) add(code Code, s *server, format string, args ...any) {
	severity := code.Severity()
	if s.Ignored {
		severity = Notice
	}
	l.findings = append(l.findings, Finding{code, severity, s.Label, fmt.Sprintf(format, args...)})
}

// addZone notes a finding that is true of the zone as a whole.
func (l *look) addZone(code Code, format string, args ...any) {
	l.findings = append(l.findings, Finding{code, code.Severity(), "", fmt.Sprintf(format, args...)})
}

// report sums up.
func (l *look) report() Report {
	out := Report{Findings: l.gathered()}
	for _, s := range l.servers {
		first := earliest(s.lives)
		out.Expire = append(out.Expire, first)
		if !s.Ignored && !first.IsZero() && (out.SignaturesExpire.IsZero() || first.Before(out.SignaturesExpire)) {
			out.SignaturesExpire = first
		}
	}
	return out
}

// gathered are the findings sorted, each once: what every server shows alike is told of the zone.
func (l *look) gathered() []Finding {
	answering := l.answering()
	// By what they say, the servers that they are true of.
	at := map[Finding]map[string]bool{}
	for _, f := range l.findings {
		server := f.Server
		f.Server = ""
		if at[f] == nil {
			at[f] = map[string]bool{}
		}
		at[f][server] = true
	}
	var out []Finding
	for f, servers := range at {
		everywhere := !f.Code.ofServer() && f.Severity == f.Code.Severity() && answering > 0 && len(servers) >= answering
		if servers[""] || everywhere {
			servers = map[string]bool{"": true}
		}
		for label := range servers {
			f.Server = label
			out = append(out, f)
		}
	}
	slices.SortFunc(out, compare)
	return out[:min(len(out), MaxFindings)]
}

// answering counts the servers that speak for the zone and are not excepted.
func (l *look) answering() int {
	n := 0
	for _, s := range l.servers {
		if s.answers && !s.Ignored {
			n++
		}
	}
	return n
}

func compare(a, b Finding) int {
	return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Server, b.Server), cmp.Compare(a.Message, b.Message))
}

func rank(s Severity) int { return slices.Index([]Severity{Critical, Warning, Notice}, s) }
