package health

import (
	"cmp"
	"fmt"
	"slices"
)

// add notes a finding at a server.
func (l *look) add(code Code, s *server, format string, args ...any) {
	severity := code.Severity()
	if s.excepted() {
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
		if !s.excepted() && !first.IsZero() && (out.SignaturesExpire.IsZero() || first.Before(out.SignaturesExpire)) {
			out.SignaturesExpire = first
		}
	}
	return out
}

// gathered are the findings sorted, each once: what every server shows alike is told of the zone.
func (l *look) gathered() []Finding {
	answering := l.answering()
	// By what they say, how grave they are at the servers that they are true of.
	type words struct {
		code    Code
		message string
	}
	at := map[words]map[string]Severity{}
	for _, f := range l.findings {
		w := words{f.Code, f.Message}
		if at[w] == nil {
			at[w] = map[string]Severity{}
		}
		at[w][f.Server] = f.Severity
	}
	var out []Finding
	for w, servers := range at {
		full := 0
		for _, severity := range servers {
			if severity == w.code.Severity() {
				full++
			}
		}
		_, ofZone := servers[""]
		if ofZone || !w.code.ofServer() && answering > 0 && full >= answering {
			servers = map[string]Severity{"": w.code.Severity()}
		}
		for label, severity := range servers {
			out = append(out, Finding{w.code, severity, label, w.message})
		}
	}
	slices.SortFunc(out, Compare)
	return out
}

// foremost are as many of sorted findings as a report may hold.
func foremost(found []Finding) []Finding { return found[:min(len(found), MaxFindings)] }

// Join puts findings of several looks together as a report has them: each once, the worst first, at most MaxFindings.
// What one tells of the zone another need not tell of single servers.
func Join(of ...[]Finding) []Finding {
	all := slices.Concat(of...)
	slices.SortFunc(all, Compare)
	all = slices.Compact(all)
	type words struct {
		code    Code
		message string
	}
	ofZone := map[words]bool{}
	for _, f := range all {
		if f.Server == "" {
			ofZone[words{f.Code, f.Message}] = true
		}
	}
	return foremost(slices.DeleteFunc(all, func(f Finding) bool { return f.Server != "" && ofZone[words{f.Code, f.Message}] }))
}

// answering counts the servers that speak for the zone and are not excepted.
func (l *look) answering() int {
	n := 0
	for _, s := range l.servers {
		if s.answers && !s.excepted() {
			n++
		}
	}
	return n
}

// Compare orders findings as a report has them: the worst first.
func Compare(a, b Finding) int {
	return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Server, b.Server), cmp.Compare(a.Message, b.Message))
}

func rank(s Severity) int { return slices.Index([]Severity{Critical, Warning, Notice}, s) }
