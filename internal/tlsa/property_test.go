package tlsa

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// notCA is the place in the pool of a certificate that is no CA and stands in a CA's place.
const notCA = 6

// drawScene makes a scene of known parameters, so that matches are frequent. Presented chains start with a
// leaf more often than chance would have it.
func drawScene(t *rapid.T, pool []*node) scene {
	leaf := rapid.SampledFrom([]byte{0, 0, 7, 8, 9, 10, 11}).Draw(t, "leaf")
	anything := rapid.ByteRange(0, byte(len(pool)-1))
	usual := rapid.SampledFrom([][]byte{{1, 2}, {1}, {2, 1}, {5, 1, 2}, {4, 1, 2, 3}, {notCA, 1, 2}})
	above := rapid.OneOf(usual, rapid.SliceOfN(anything, 0, 6)).Draw(t, "above")
	presented := append([]byte{leaf}, above...)
	records := rapid.Custom(func(t *rapid.T) []byte {
		return []byte{
			rapid.SampledFrom([]byte{3, 2, 1, 4}).Draw(t, "usage"), rapid.ByteRange(0, 1).Draw(t, "selector"),
			rapid.SampledFrom([]byte{1, 2, 0, 3}).Draw(t, "matching type"),
			rapid.OneOf(rapid.SampledFrom(presented), anything).Draw(t, "certificate"),
		}
	})
	specs := slices.Concat(rapid.SliceOfN(records, 1, 5).Draw(t, "records")...)
	name := rapid.SampledFrom([]string{host, host + ".", "-", "example.net"}).Draw(t, "name")
	return newScene(pool, presented, specs, name, 0)
}

// TestMatchAgreesWithVerify checks each way: what matches does so for Go's verifier, and what that
// takes matches, but for the rules that are stricter here: a trust anchor must be a CA and not the leaf.
func TestMatchAgreesWithVerify(t *testing.T) {
	certificates := pool(t)
	matched := map[uint8]int{}
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt, certificates)
		s.judge(rt)
		for _, r := range s.records {
			stricter := r.Usage == 2 && (r.Data == naiveData(r.Parameters, s.chain[0]) || r.Data == naiveData(r.Parameters, certificates[notCA].Certificate))
			got := Matches(r, s.chain, s.names, s.at)
			if !got && !stricter && s.naive(r) {
				rt.Errorf("%s does not match: %v", r.Short(), Match([]Record{r}, s.chain, s.names, s.at))
			}
			if got {
				matched[r.Usage]++
			}
		}
	})
	if matched[2] == 0 || matched[3] == 0 {
		t.Errorf("nothing was tried: %v", matched)
	}
}

// TestMatchIsOfTheSet checks that order and duplicates of records are nothing to Match, that unusable
// records change no match, and that the order of what stands above the leaf is free.
func TestMatchIsOfTheSet(t *testing.T) {
	certificates := pool(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt, certificates)
		got := Match(s.records, s.chain, s.names, s.at)
		shuffled := rapid.Permutation(append(slices.Clone(s.records), s.records...)).Draw(rt, "shuffled")
		if again := Match(shuffled, s.chain, s.names, s.at); !slices.Equal(got.Records, again.Records) || got.Verdict != again.Verdict {
			rt.Errorf("in another order: %v, %v", got, again)
		}
		usable := slices.DeleteFunc(slices.Clone(got.Records), func(r RecordResult) bool { return !r.Reason.Usable() })
		var records []Record
		for _, r := range usable {
			records = append(records, r.Record)
		}
		without := Match(records, s.chain, s.names, s.at)
		if !slices.Equal(without.Records, usable) {
			rt.Errorf("unusable records matter: %v, %v", got, without)
		}
		chain := append(slices.Clone(s.chain[:1]), rapid.Permutation(s.chain[1:]).Draw(rt, "above")...)
		if again := Match(s.records, chain, s.names, s.at); again.Verdict != got.Verdict {
			rt.Errorf("in another order of certificates: %v, %v", got, again)
		}
	})
}

// TestAssociationsMatchTheirChain checks that what is made of a chain authenticates it.
func TestAssociationsMatchTheirChain(t *testing.T) {
	certificates := pool(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt, certificates)
		records, _ := Associations(s.chain, parameters(t, allowed...))
		for _, r := range records {
			got := Match([]Record{r}, s.chain, s.names, s.at).Records[0]
			below := slices.Contains([]Reason{ReasonNameMismatch, ReasonExpired, ReasonNotYetValid}, got.Reason)
			if got.Reason != ReasonMatched && (r.Usage == UsageDANEEE || !below) {
				rt.Errorf("%s", got)
			}
		}
	})
}
