package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// reported is a report with one policy about a name of ours.
func reported(id, proof, subject string, policy tlsrpt.Policy) store.Item {
	return store.Item{
		Report: tlsrpt.Report{
			Organization: "Org " + proof, ID: id, Start: day, End: day.Add(24*time.Hour - time.Second), Policies: []tlsrpt.Policy{policy},
		},
		Subjects: []string{subject}, Origin: store.Origin{At: day.Add(30 * time.Hour), Proof: proof},
	}
}

// failing is a policy of TLSA records under which sessions with a host failed.
func failing(host string, sessions int64) tlsrpt.Policy {
	return tlsrpt.Policy{Type: tlsrpt.TLSA, Failed: sessions, Failures: []tlsrpt.Failure{{Result: tlsrpt.TLSAInvalid, Sessions: sessions, ReceivingMX: host}}}
}

// What leads to anything is of DANE, proved, of the time that is asked for, and about a host of the domain.
func TestWhatHoldsAHost(t *testing.T) {
	old := reported("1", "a.example", "example.com", failing("mx1.example.com", 1))
	old.Report.Start, old.Report.End = day.AddDate(0, 0, -2), day.AddDate(0, 0, -1)
	early := reported("1", "a.example", "example.com", failing("mx1.example.com", 1))
	early.Origin.At = day.Add(-time.Hour)
	sts := failing("mx1.example.com", 1)
	sts.Type, sts.Failures[0].Result = tlsrpt.STS, tlsrpt.STSWebPKIInvalid
	dnssec := failing("mx1.example.com", 1)
	dnssec.Type, dnssec.Failures[0].Result = tlsrpt.NoPolicyFound, tlsrpt.DNSSECInvalid
	for _, c := range []struct {
		why   string
		item  store.Item
		hosts []string
	}{
		{"a failure of DANE that is proved", reported("1", "a.example", "example.com", failing("mx1.example.com", 1)), []string{"mx1.example.com"}},
		{"anybody may have posted it", reported("1", "", "example.com", failing("mx1.example.com", 1)), nil},
		{"it is about another policy", reported("1", "a.example", "example.com", sts), nil},
		{"it can be of DANE alone, whatever the policy", reported("1", "a.example", "example.com", dnssec), []string{"mx1.example.com"}},
		{"nothing failed", reported("1", "a.example", "example.com", failing("mx1.example.com", 0)), nil},
		{"it tells of a time before", old, nil},
		{"it came in before", early, nil},
		{"the host is somebody else's", reported("1", "a.example", "example.com", failing("mx.else.example", 1)), nil},
		{"the host is not told", reported("1", "a.example", "example.com", failing("", 1)), []string{"mx1.example.com", "mx2.example.com"}},
		{"nothing is told but how many", reported("1", "a.example", "example.com", tlsrpt.Policy{Type: tlsrpt.TLSA, Failed: 3}), []string{"mx1.example.com", "mx2.example.com"}},
		{"the report is about the host", reported("1", "a.example", "mx2.example.com", failing("", 1)), []string{"mx2.example.com"}},
		{"the mail was for another domain with the host", reported("1", "a.example", "other.example", failing("mx1.example.com", 1)), []string{"mx1.example.com"}},
	} {
		eachKind(t, func(t *testing.T, dsn string) {
			s := open(t, dsn)
			add(t, s, c.item)
			var held []string
			for _, h := range overview(t, s, "example.com", "mx1.example.com", "mx2.example.com").Hosts {
				if !h.LastDANE.IsZero() {
					held = append(held, h.Host)
				}
			}
			if fmt.Sprint(held) != fmt.Sprint(c.hosts) {
				t.Errorf("%s: held are %v, want %v", c.why, held, c.hosts)
			}
		})
	}
}

// However much is reported, and whatever numbers, what is told of it is small and right in sum.
func TestOverviewIsBounded(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		const most = 1_000_000_000_000
		for i := range 40 {
			p := tlsrpt.Policy{Type: tlsrpt.TLSA, Successful: 1}
			for range 300 {
				p.Failures = append(p.Failures, tlsrpt.Failure{Result: tlsrpt.TLSAInvalid, Sessions: most, ReceivingMX: fmt.Sprintf("mx%d.example.com", i)})
				p.Failed += most
			}
			item := reported(fmt.Sprint(i), fmt.Sprintf("org%02d.example", i), "example.com", p)
			item.Report.Policies[0].Failed = int64(i)
			add(t, s, item)
		}
		got := overview(t, s, "example.com", "mx1.example.com")
		if n := len(got.Organizations); n != store.MaxOrganizations+1 {
			t.Fatalf("%d organizations", n)
		}
		var failed int64
		for _, o := range got.Organizations {
			failed += o.Failed
		}
		if failed != 780 || got.Failed != 780 || got.Reports != 40 || got.Organizations[0].Name != "Org org39.example" {
			t.Errorf("sums: %d and %d of %d reports, first %v", failed, got.Failed, got.Reports, got.Organizations[0])
		}
		if len(got.Failures) != store.MaxFailures || len(got.Hosts) != 2 || len(got.Results) != 1 || got.Results[0].Sessions != 1e15 {
			t.Errorf("%d failures, hosts %v, results %v", len(got.Failures), got.Hosts, got.Results)
		}
	})
}

// Reports that follow each other tell of one time, others of two; and nobody tells of the future.
func TestFailuresAreJoined(t *testing.T) {
	eachKind(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for id, days := range map[string]int{"1": 0, "2": 1, "4": 3} {
			item := reported(id, "a.example", "example.com", failing("mx1.example.com", 2))
			item.Report.Start, item.Report.End = item.Report.Start.AddDate(0, 0, days), item.Report.End.AddDate(0, 0, days)
			item.Origin.At = item.Origin.At.AddDate(0, 0, days)
			add(t, s, item)
		}
		future := reported("5", "b.example", "example.com", failing("mx1.example.com", 1))
		future.Report.Start, future.Report.End = day.AddDate(1, 0, 0), day.AddDate(1, 0, 1)
		add(t, s, future)
		var got []string
		for _, f := range overview(t, s, "example.com").Failures {
			got = append(got, fmt.Sprintf("%s %d %s/%s", f.Proof, f.Sessions, f.From.Format("02T15"), f.To.Format("02T15")))
		}
		want := []string{"a.example 2 04T00/04T23", "a.example 4 01T00/02T23", "b.example 1 02T06/02T06"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
