package rollover

import (
	"fmt"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// busyFacts are those of a host with two ports, two Certificates with a standby key each, six name servers
// and ten versions at each owner.
func busyFacts() Facts {
	p := labPolicy()
	p.Parameters = []tlsa.Parameters{p311, p312}
	f := Facts{Now: begin, Host: "mx1.example.com", Policy: p, KeysComplete: true, DNSSEC: DNSSEC{State: dnssec.Secure}}
	var records []tlsa.Record
	for i, stage := range []KeyStage{StageDeployed, StageDeployed, StageStandby, StageStandby} {
		id := digest(fmt.Sprint(i))
		k := Key{ID: id, SPKI: id, Certificate: fmt.Sprintf("mx1-%d", i%2), Stage: stage, Records: recordsOfKey(id, p.Parameters)}
		records = append(records, k.Records...)
		f.Keys = append(f.Keys, k)
		f.States = append(f.States, KeyState{ID: id, SPKI: id, Certificate: k.Certificate, Role: roleCurrent, Since: begin.Add(-time.Hour), Records: k.Records})
	}
	records = tlsa.Normalize(records)
	round := ProbeRound{Start: begin, End: begin, Complete: true}
	for _, port := range []int32{25, 465} {
		o := Owner{Name: ownerAt(port), Port: port, Known: true, Written: records}
		for i := range 10 {
			o.Versions = append(o.Versions, Version{
				Owner: o.Name, Records: records[:len(records)-i/2], TTL: p.TTL + time.Duration(i%2)*time.Second,
				FirstSeen: begin.Add(-time.Hour), LastSeen: begin.Add(-time.Second),
			})
		}
		sweep := Sweep{Start: begin, End: begin}
		for i := range 6 {
			sweep.Answers = append(sweep.Answers, Answer{
				Name: fmt.Sprintf("ns%d", i), Address: fmt.Sprintf("192.0.2.%d", i), Reachable: true, Signed: true, Records: records,
				TTL: p.TTL, CacheTTL: p.TTL, SignatureExpires: begin.Add(240 * time.Hour), SignatureValidity: 336 * time.Hour, Primary: i == 0,
			})
		}
		o.Sweeps, o.Last = []Sweep{sweep}, &sweep
		f.Owners = append(f.Owners, o)
		for _, k := range f.Keys[:2] {
			round.Presented = append(round.Presented, Presented{Address: "192.0.2.9", Port: port, SPKI: k.SPKI, Matches: k.matches})
		}
	}
	f.Rounds, f.LastRound = []ProbeRound{round}, &round
	return f
}

// BenchmarkDecide is what one event of a host costs.
func BenchmarkDecide(b *testing.B) {
	f := busyFacts()
	b.ReportAllocs()
	for b.Loop() {
		Decide(f)
	}
}
