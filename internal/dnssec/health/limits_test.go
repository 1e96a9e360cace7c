package health

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// TestLimits: a zone just within what validators look at is well, and one beyond it is told what is too much.
func TestLimits(t *testing.T) {
	keys := func(n int) func(*testZone) {
		return func(z *testZone) {
			for i := 0; len(z.shown) < n; i++ {
				key := *common.zsk.DNSKEY
				octets := make([]byte, 64)
				copy(octets, fmt.Sprint(i))
				key.PublicKey = base64.StdEncoding.EncodeToString(octets)
				z.shown = append(z.shown, testKey{DNSKEY: &key})
			}
		}
	}
	dss := func(n int) func(*Observations) {
		return func(o *Observations) {
			set := []*dns.DS{ds(common.ksk, 2)}
			for i := range n - 1 {
				junk := *set[0]
				junk.Digest = fmt.Sprintf("%064x", i)
				set = append(set, &junk)
			}
			o.Parents = []Parent{parent(t, "p1", set...), parent(t, "p2", set...)}
		}
	}
	signatures := func(n int) func(*Observations) {
		return func(o *Observations) {
			reply(o, 1, host, dns.TypeA, func(r *Reply) {
				good := r.Msg.Answer[len(r.Msg.Answer)-1]
				for range n - 1 {
					junk := dns.Copy(good).(*dns.RRSIG)
					junk.KeyTag++
					r.Msg.Answer = append(r.Msg.Answer, junk)
				}
			})
		}
	}
	within := []row{
		{reason: "keys", zone: keys(dnssec.MaxKeys)},
		{reason: "signatures", seen: signatures(dnssec.MaxSignatures)},
		{reason: "DS records", want: "DSWithoutKey", seen: dss(dnssec.MaxDS)},
	}
	beyond := []row{
		{reason: "the zone has 65 keys; at most 64", want: "SignatureInvalid", zone: keys(dnssec.MaxKeys + 1)},
		{reason: "there are 33 signatures over it; at most 32", want: "SignatureInvalid@ns2", seen: signatures(dnssec.MaxSignatures + 1)},
		{reason: "there are 65 DS records of the zone; at most 64", want: "SignatureInvalid", seen: dss(dnssec.MaxDS + 1)},
	}
	check(t, append(within, beyond...))
	for _, r := range beyond {
		if text := r.judge(t).Findings[0].Message; !strings.Contains(text, r.reason) || !strings.Contains(text, "take out what is not in use") {
			t.Errorf("%q does not say that %s", text, r.reason)
		}
	}
	if report := (row{zone: keys(dnssec.MaxKeys)}).judge(t); !report.SignaturesExpire.Equal(at.Add(10 * day)) {
		t.Errorf("signatures expire at %s", report.SignaturesExpire)
	}
}

// TestStrangeSignaturesHaveNoLife: when one by a key that the server does not show runs out matters to nobody.
func TestStrangeSignaturesHaveNoLife(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(*dns.RRSIG)
	}{
		{"of an algorithm that no key has", func(s *dns.RRSIG) { s.Algorithm = 15 }},
		{"with the tag of another key", func(s *dns.RRSIG) { s.Algorithm, s.KeyTag = 15, common.ksk.KeyTag() }},
	} {
		r := row{seen: func(o *Observations) {
			reply(o, 1, host, dns.TypeA, func(r *Reply) {
				junk := dns.Copy(r.Msg.Answer[len(r.Msg.Answer)-1]).(*dns.RRSIG)
				junk.Expiration = uint32(at.Add(day).Unix())
				c.change(junk)
				r.Msg.Answer = append(r.Msg.Answer, junk)
			})
		}}
		if got := r.judge(t).SignaturesExpire; !got.Equal(at.Add(10 * day)) {
			t.Errorf("%s: signatures expire at %s", c.reason, got)
		}
	}
}

// TestHostileSignatureTimes: what a server shows in between, at any times that fit into the fields (RFC 1982), teaches nothing
// of the signer, and keeps nothing from being learned.
func TestHostileSignatureTimes(t *testing.T) {
	now := uint32(at.Add(day).Unix())
	for _, c := range []struct {
		reason                string
		inception, expiration uint32
	}{
		{"none", 0, 0},
		{"from the beginning to the end of the field", 0, math.MaxUint32},
		{"from its end to its beginning", math.MaxUint32, 0},
		{"at its end", math.MaxUint32, math.MaxUint32},
		{"until the field ends", now - 1, math.MaxUint32},
		{"until half the field from now, after which it would be in the past", now - 1, now + math.MaxInt32},
		{"until then, from as long ago", now + math.MaxInt32 + 2, now + math.MaxInt32},
		{"half the field from now, which is neither past nor future", now, now + math.MaxInt32 + 1},
		{"for no time", now, now},
		{"it ends before it begins", now + 1, now - 1},
		{"for years", now - 1, now + uint32(10*365*day/time.Second)},
		{"not yet", now + uint32(day/time.Second), now + uint32(30*day/time.Second)},
	} {
		z := newZone(t)
		var w SignerWatch
		look := func(after time.Duration, change func(*dns.RRSIG)) {
			s := z.dated(at.Add(after-time.Hour), at.Add(after+14*day))
			sig := s.Stream[1].Msg.Answer[2].(*dns.RRSIG)
			change(sig)
			o := Observations{Now: at.Add(after), Zone: apex, Servers: []Server{s}, Habit: w.Habit}
			w.Look(o)
			Judge(o)
		}
		good := func(*dns.RRSIG) {}
		look(0, good)
		look(day, func(sig *dns.RRSIG) { sig.Inception, sig.Expiration = c.inception, c.expiration })
		if w.Habit.Rounds != 0 {
			t.Errorf("%s: it teaches %+v", c.reason, w.Habit)
		}
		look(9*day, good)
		if h := w.Habit; h.Rounds != 1 || h.Left != 5*day || h.Validity != 14*day+time.Hour {
			t.Errorf("%s: after it is learned %+v", c.reason, h)
		}
	}
}
