package zone_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/zone"
	"github.com/dane-operator/dane-operator/test/servers"
)

// asking is a zone on two servers, with what each of them asks the parent for.
type asking struct {
	name, reason string
	// bind and nsd are the CDS and CDNSKEY records there, given those of the zone's key and of another.
	bind, nsd func(own, other *servers.Key) []string
	// also has the other key sign the zone as well.
	also bool
	// want are the findings, with @nsd for those of one server.
	want []string
}

// asks for the DS record of a key by both kinds of records.
func asks(k *servers.Key) []string { return []string{"@ CDS " + k.DS(), "@ CDNSKEY " + k.RDATA()} }

func forOwn(own, _ *servers.Key) []string     { return asks(own) }
func forOther(_, other *servers.Key) []string { return asks(other) }
func forRemoval(_, _ *servers.Key) []string {
	return []string{"@ CDS 0 0 0 00", "@ CDNSKEY 0 3 0 AA=="}
}

var askings = []asking{
	{"same.test.", "both ask for what there is", forOwn, forOwn, false, nil},
	{"contradictory.test.", "CDS and CDNSKEY of one server are of different keys", forOwn, func(own, other *servers.Key) []string {
		return []string{"@ CDS " + own.DS(), "@ CDNSKEY " + other.RDATA()}
	}, false, []string{"CDSDiffers", "CDSMatchesNoKey@nsd", "CDSMismatch@nsd"}},
	{"stranger.test.", "one server asks for a key that is not in the zone", forOwn, forOther, false, []string{"CDSDiffers", "CDSMatchesNoKey@nsd"}},
	{"ahead.test.", "both ask for another key of the zone than the parent has", forOther, forOther, true, []string{"CDSNotInParent"}},
	{"late.test.", "one server still asks for the key that the parent has, the other for the next", forOther, forOwn, true, []string{"CDSDiffers"}},
	{"half.test.", "one server alone asks", func(_, _ *servers.Key) []string { return nil }, forOwn, false, []string{"CDSDiffers"}},
	{"removal.test.", "one server asks for removal", forOwn, forRemoval, false, []string{"CDSDiffers"}},
	{"mixed.test.", "one server asks for removal and for a key at once", forOwn, func(own, _ *servers.Key) []string {
		return []string{"@ CDS " + own.DS(), "@ CDS 0 0 0 00"}
	}, false, []string{"CDSDeleteMixed@nsd", "CDSDiffers"}},
}

// text is a zone that two servers serve.
func (a asking) text(records []string) string {
	return "$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\n@ NS ns2\nns1 A 127.0.0.1\nns2 A 127.0.0.1\n" + strings.Join(records, "\n") + "\n"
}

// TestFindingsOfCDS: a BIND and an NSD with contents of their own, as after a transfer that failed or when two signers
// serve one zone. What contradicts itself is found at the server that shows it, what differs in the zone as a whole,
// and nothing where both ask for the key that the parent has.
func TestFindingsOfCDS(t *testing.T) {
	t.Parallel()
	var onBIND, onNSD []servers.StaticZone
	anchors := map[string]string{}
	for _, a := range askings {
		own := servers.NewKey(t, a.name)
		var other *servers.Key
		if a.also {
			other = own.Another()
		} else {
			other = servers.NewKey(t, a.name)
		}
		anchors[a.name] = own.DS()
		onBIND = append(onBIND, own.Sign(a.text(a.bind(own, other))))
		onNSD = append(onNSD, own.Sign(a.text(a.nsd(own, other))))
	}
	bind, nsd := servers.StartStaticBIND(t, onBIND).Address(), servers.StartStaticNSD(t, onNSD).Address()
	for _, a := range askings {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			ds, err := dnssec.ParseDS(anchors[a.name], a.name)
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{t: t, config: zone.Config{
				Zone: a.name, Primary: bind.String(), Protocol: zone.TCP, Static: []netip.AddrPort{bind, nsd}, Anchors: []dnssec.Anchor{ds},
			}}
			r.start(zone.Options{QueryTimeout: 10 * time.Second})
			var want []string
			for _, code := range a.want {
				want = append(want, strings.Replace(code, "@nsd", "@"+nsd.String(), 1))
			}
			h := r.check()
			finds(t, h, want...)
			if h.DNSSEC.State != dnssec.Secure {
				t.Errorf("%s: the zone is %s: %s", a.reason, h.DNSSEC.State, h.DNSSEC.Message)
			}
			t.Log(fmt.Sprint(h.Findings))
		})
	}
}

// TestFindingsOfKeysAskedFor: a BIND and an NSD serve a zone that asks for DS records which its parent had better not take over,
// or of which it is worth knowing that it asks.
func TestFindingsOfKeysAskedFor(t *testing.T) {
	// both serve the zone with these records, edited after it was signed.
	both := func(t *testing.T, key *servers.Key, records []string, edit func([]string) []string, entered ...*servers.Key) *copies {
		text := zoneCopy{records: host + record(1).Data + "; " + strings.Join(records, "; "), edit: edit}.text(key)
		var anchors []dnssec.Anchor
		for _, k := range entered {
			anchors = append(anchors, k.Public.ToDS(dns.SHA256))
		}
		return serveBoth(t, text, text, anchors...)
	}
	for _, c := range []struct {
		reason string
		serve  func(t *testing.T, key *servers.Key) *copies
		want   string
	}{
		{"for the removal of the DS records", func(t *testing.T, key *servers.Key) *copies {
			return both(t, key, forRemoval(nil, nil), nil, key)
		}, "CDSDelete"},
		{"for a key that was revoked", func(t *testing.T, key *servers.Key) *copies {
			other := key.Another()
			other.Revoke()
			return both(t, key, append(asks(key), asks(other)...), nil, key)
		}, "CDSKeyUnusable CDSNotInParent"},
		{"for a key without the SEP flag, which is entered", func(t *testing.T, key *servers.Key) *copies {
			other := key.AnotherZSK()
			return both(t, key, append(asks(key), asks(other)...), nil, key, other)
		}, "CDSKeyNotSEP"},
		{"for a key, which is entered, that does not sign the keys", func(t *testing.T, key *servers.Key) *copies {
			other := key.Another()
			return both(t, key, append(asks(key), asks(other)...), unsignedBy(other, "DNSKEY"), key, other)
		}, "CDSKeyDoesNotSign"},
		{"for a key, which is entered, that does not sign the CDS records", func(t *testing.T, key *servers.Key) *copies {
			other := key.Another()
			return both(t, key, append(asks(key), asks(other)...), unsignedBy(other, "CDS"), key, other)
		}, "CDSNotSignedByItsKey"},
		{"for a key, in a zone whose keys are gone, which BIND does not load", func(t *testing.T, key *servers.Key) *copies {
			bare := zoneCopy{records: host + record(1).Data, edit: without("", "DNSKEY", "RRSIG", "NSEC")}
			left := bare
			left.records += "; " + strings.Join(asks(key), "; ")
			return serveBoth(t, bare.text(key), left.text(key), key.Public.ToDS(dns.SHA256))
		}, "CDSDiffers CDSOfUnsignedZone@nsd DSOfUnsignedZone"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			c.serve(t, servers.NewKey(t, apex)).tells(c.want)
		})
	}
}
