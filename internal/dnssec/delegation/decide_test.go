package delegation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

const (
	removeCDS = "0 0 0 00"
	removeKey = "0 3 0 AA=="
)

// row is a scene and what is decided of it.
type row struct {
	name   string
	change func(*scene)
	action Action
	reason Reason
	server string
	// want are the DS records wanted, by name.
	want []string
}

func (r row) run(t *testing.T) {
	s := good()
	r.change(s)
	d := Decide(s.facts())
	if d.Action != r.action || d.Reason != r.reason || d.Server != r.server {
		t.Errorf("got %s, %s by %q (%s), want %s, %s by %q", d.Action, d.Reason, d.Server, d.Message, r.action, r.reason, r.server)
	}
	if want := dsOf(r.want...); !sameDS(d.Want, want) {
		t.Errorf("wants %s, should want %s", listDS(d.Want), listDS(want))
	}
	if d.Reason == InSync != (d.Message == "") {
		t.Errorf("%s has the message %q", d.Reason, d.Message)
	}
}

func runAll(t *testing.T, rows []row) {
	for _, r := range rows {
		t.Run(r.name, r.run)
	}
}

func TestChangesThatAreCarriedOut(t *testing.T) {
	old := []string{"old"}
	runAll(t, []row{
		{"the new key takes the place of the old", func(*scene) {}, Replace, Asked, "", []string{"new"}},
		{"both keys for a while", func(s *scene) {
			s.each(func(c *server) { c.cds, c.cdnskey = []string{"old", "new"}, []string{"old", "new"} })
		}, Replace, Asked, "", []string{"old", "new"}},
		{"a standby key that is not in use, beside one that is", func(s *scene) {
			s.each(func(c *server) { c.cds, c.cdnskey = []string{"old", "other"}, []string{"old", "other"} })
		}, Replace, Asked, "", []string{"old", "other"}},
		{"two digest types for every key", func(s *scene) { s.each(func(c *server) { c.cds = []string{"new", "new/4"} }) }, Replace, Asked, "", []string{"new", "new/4"}},
		{"SHA-1 beside SHA-256 is left away", func(s *scene) { s.each(func(c *server) { c.cds = []string{"new", "new/1"} }) }, Replace, Asked, "", []string{"new"}},
		{"CDS alone", func(s *scene) { s.each(func(c *server) { c.cdnskey = nil }) }, Replace, Asked, "", []string{"new"}},
		{"CDNSKEY alone, by SHA-256", func(s *scene) { s.each(func(c *server) { c.cds = nil }) }, Replace, Asked, "", []string{"new"}},
		{"CDNSKEY alone, by the digest type in use", func(s *scene) {
			s.parentsShow("old/4")
			s.each(func(c *server) { c.cds = nil })
		}, Replace, Asked, "", []string{"new/4"}},
		{"another algorithm, which signs the keys", func(s *scene) {
			s.each(func(c *server) {
				c.keys, c.signers = []string{"old", "ed", "zsk"}, []string{"old", "ed"}
				c.cds, c.cdnskey = []string{"ed"}, []string{"ed"}
			})
		}, Replace, Asked, "", []string{"ed"}},
		{"signed at the mark exactly", func(s *scene) { s.mark = at.Add(-time.Hour) }, Replace, Asked, "", []string{"new"}},
		{"removal where it is allowed", func(s *scene) {
			s.policy.AllowDelete = true
			s.each(func(c *server) { c.cds, c.cdnskey = []string{removeCDS}, []string{removeKey} })
		}, Remove, DeleteAsked, "", nil},
		{"the parent has what is asked for", func(s *scene) { s.each(func(c *server) { c.cds, c.cdnskey = old, old }) }, Keep, InSync, "", old},
		{"the parent has it, and a SHA-1 digest too", func(s *scene) {
			s.parentsShow("old", "old/1")
			s.each(func(c *server) { c.cds, c.cdnskey = []string{"old", "old/1"}, old })
		}, Replace, Asked, "", old},
	})
}

func TestWhatServersDoNotConfirmChangesNothing(t *testing.T) {
	old := []string{"old"}
	runAll(t, []row{
		{"no server of the parent", func(s *scene) { s.parents = nil }, Keep, ParentUnreachable, "", nil},
		{"a silent server of the parent", func(s *scene) { s.parents[1].Problem = "no answer" }, Keep, ParentUnreachable, "parent1", nil},
		{"a bogus answer of the parent", func(s *scene) { s.parents[1].State = dnssec.Bogus }, Keep, ParentNotSecure, "parent1", nil},
		{"an unsigned parent", func(s *scene) { s.parents[0].State = dnssec.Insecure }, Keep, ParentNotSecure, "parent0", nil},
		{"a parent that cannot be judged", func(s *scene) { s.parents[0].State = dnssec.Indeterminate }, Keep, ParentNotSecure, "parent0", nil},
		{"one server of the parent is late", func(s *scene) { s.parents[1].DS = dsOf("new") }, Keep, ParentDiffers, "parent1", nil},
		{"one server of the parent lacks them", func(s *scene) { s.parents[1].DS = nil }, Keep, ParentDiffers, "parent1", nil},
		{"no server of the child", func(s *scene) { s.servers = nil }, Keep, ChildUnreachable, "", old},
		{"a silent server of the child", func(s *scene) { s.servers[1].problem = "no answer" }, Keep, ChildUnreachable, "child1", old},
		{"one server lacks CDS", func(s *scene) { s.servers[1].cds = nil }, Keep, ChildDiffers, "child1", old},
		{"one server lacks CDNSKEY", func(s *scene) { s.servers[1].cdnskey = nil }, Keep, ChildDiffers, "child1", old},
		{"one server lacks both", func(s *scene) { s.servers[1].cds, s.servers[1].cdnskey = nil, nil }, Keep, ChildDiffers, "child1", old},
		{"one server still asks for the old key", func(s *scene) { s.servers[1].cds, s.servers[1].cdnskey = old, old }, Keep, ChildDiffers, "child1", old},
		{"one server asks for removal", func(s *scene) {
			s.policy.AllowDelete = true
			s.servers[1].cds, s.servers[1].cdnskey = []string{removeCDS}, []string{removeKey}
		}, Keep, ChildDiffers, "child1", old},
		{"no server asks for anything", func(s *scene) { s.each(func(c *server) { c.cds, c.cdnskey = nil, nil }) }, Keep, NothingAsked, "", old},
	})
}

func TestRecordsThatAreNotBelieved(t *testing.T) {
	old := []string{"old"}
	runAll(t, []row{
		{"an algorithm that validates nothing any more (RFC 9905)", func(s *scene) {
			s.parentsShow("sha1")
			s.each(func(c *server) {
				c.keys, c.signers, c.recordSigners = []string{"sha1", "zsk"}, []string{"sha1"}, []string{"sha1"}
				c.cds, c.cdnskey = []string{"sha1"}, []string{"sha1"}
			})
		}, Keep, NotValidated, "child0", []string{"sha1"}},
		{"signed by the new key alone", func(s *scene) { s.servers[1].recordSigners = []string{"new"} }, Keep, NotValidated, "child1", old},
		{"signed by a zone key that no DS stands for", func(s *scene) { s.servers[0].recordSigners = []string{"zsk"} }, Keep, NotValidated, "child0", old},
		{"not signed", func(s *scene) { s.servers[1].recordSigners = nil }, Keep, NotValidated, "child1", old},
		{"the keys are not signed by the old key", func(s *scene) { s.servers[1].signers = []string{"new"} }, Keep, NotValidated, "child1", old},
		{"the signature over the keys has expired", func(s *scene) { s.servers[1].expired = true }, Keep, NotValidated, "child1", old},
		{"the zone shows no keys", func(s *scene) { s.servers[1].keys = nil }, Keep, NotValidated, "child1", old},
		{"the DS records are of another zone's key", func(s *scene) { s.parentsShow("other") }, Keep, NotValidated, "child0", []string{"other"}},
		{"a SHA-1 digest beside a better one of another key", func(s *scene) {
			s.parentsShow("other", "old/1")
		}, Keep, NotValidated, "child0", []string{"other", "old/1"}},
		{"signed before what was acted on last", func(s *scene) { s.mark = at.Add(-time.Hour + time.Second) }, Keep, Replayed, "child0", old},
		{"one server has an older copy", func(s *scene) { s.mark, s.servers[1].age = at.Add(-90*time.Minute), 2*time.Hour }, Keep, Replayed, "child1", old},
		{"removal by an old copy", func(s *scene) {
			s.policy.AllowDelete, s.mark = true, at
			s.each(func(c *server) { c.cds, c.cdnskey = []string{removeCDS}, []string{removeKey} })
		}, Keep, Replayed, "child0", old},
		{"removal that is not allowed", func(s *scene) {
			s.each(func(c *server) { c.cds, c.cdnskey = []string{removeCDS}, []string{removeKey} })
		}, Keep, DeleteNotAllowed, "", old},
		{"removal that is not signed", func(s *scene) {
			s.policy.AllowDelete = true
			s.each(func(c *server) {
				c.cds, c.cdnskey, c.recordSigners = []string{removeCDS}, []string{removeKey}, nil
			})
		}, Keep, NotValidated, "child0", old},
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	old := []string{"old"}
	all := func(change func(*server)) func(*scene) { return func(s *scene) { s.each(change) } }
	hex32 := strings.Repeat("AB", 32)
	runAll(t, []row{
		{"CDS and CDNSKEY of different keys", all(func(c *server) { c.cdnskey = old }), Keep, Contradictory, "", old},
		{"a CDNSKEY without CDS", all(func(c *server) { c.cdnskey = []string{"new", "old"} }), Keep, Contradictory, "", old},
		{"a CDS without CDNSKEY", all(func(c *server) { c.cds = []string{"new", "old"} }), Keep, Contradictory, "", old},
		{"a wrong digest", all(func(c *server) { c.cds = []string{fmt.Sprintf("%d 13 2 %s", pool()["new"].key.KeyTag(), hex32)} }), Keep, Contradictory, "", old},
		{"CDS alone asks for removal", all(func(c *server) { c.cds = []string{removeCDS} }), Keep, Contradictory, "", old},
		{"CDNSKEY alone asks for removal", all(func(c *server) { c.cdnskey = []string{removeKey} }), Keep, Contradictory, "", old},
		{"removal beside a key", all(func(c *server) { c.cds = []string{removeCDS, "new"} }), Keep, Malformed, "", old},
		{"removal beside a key, in CDNSKEY", all(func(c *server) { c.cdnskey = []string{removeKey, "new"} }), Keep, Malformed, "", old},
		{"algorithm 0 and a digest", all(func(c *server) { c.cds = []string{"0 0 2 " + hex32} }), Keep, Malformed, "", old},
		{"algorithm 0 and a key tag", all(func(c *server) { c.cds = []string{"1 0 0 00"} }), Keep, Malformed, "", old},
		{"algorithm 0 and a key", all(func(c *server) { c.cdnskey = []string{"257 3 0 AQID"} }), Keep, Malformed, "", old},
		{"a short digest", all(func(c *server) { c.cds = []string{"1 13 2 ABCD"} }), Keep, Malformed, "", old},
		{"a revoked key", all(func(c *server) { c.cdnskey = []string{"385 3 13 " + pool()["new"].key.PublicKey} }), Keep, Malformed, "", old},
		{"a key of another protocol", all(func(c *server) { c.cdnskey = []string{"257 2 13 " + pool()["new"].key.PublicKey} }), Keep, Malformed, "", old},
		{"SHA-1 alone", all(func(c *server) { c.cds = []string{"new/1"} }), Keep, WeakDigest, "", old},
		{"SHA-1 alone for one of two keys", all(func(c *server) { c.cds, c.cdnskey = []string{"new", "old/1"}, []string{"new", "old"} }), Keep, WeakDigest, "", old},
		{"a digest type nobody knows", all(func(c *server) { c.cds, c.cdnskey = []string{"1 13 77 ABCD"}, nil }), Keep, WeakDigest, "", old},
		{"digest types that cover different keys", all(func(c *server) { c.cds, c.cdnskey = []string{"new", "old", "old/4"}, []string{"new", "old"} }), Keep, UnevenDigests, "", old},
		{"an algorithm that rests on SHA-1", all(func(c *server) { c.cds, c.cdnskey = []string{"sha1"}, []string{"sha1"} }), Keep, WeakAlgorithm, "", old},
	})
}

func TestWhatWouldBreakTheChain(t *testing.T) {
	old := []string{"old"}
	runAll(t, []row{
		{"a key that is nowhere", func(s *scene) {
			s.each(func(c *server) { c.cds, c.cdnskey = []string{"other"}, []string{"other"} })
		}, Keep, WouldBreak, "child0", old},
		{"a key that does not sign", func(s *scene) { s.servers[1].signers = old }, Keep, WouldBreak, "child1", old},
		{"a key that one server does not show", func(s *scene) { s.servers[1].keys = []string{"old", "zsk"}; s.servers[1].signers = old }, Keep, WouldBreak, "child1", old},
		{"one of two algorithms does not sign the keys", func(s *scene) {
			s.each(func(c *server) {
				c.keys = []string{"old", "new", "ed", "zsk"}
				c.cds, c.cdnskey = []string{"new", "ed"}, []string{"new", "ed"}
			})
		}, Keep, WouldBreak, "child0", old},
		{"an algorithm that cannot be checked", func(s *scene) {
			s.each(func(c *server) { c.cds, c.cdnskey = []string{"1 16 2 " + strings.Repeat("AB", 32)}, nil })
		}, Keep, WouldBreak, "child0", old},
	})
}

func TestBeginningAChain(t *testing.T) {
	begin := func(change func(*scene)) func(*scene) {
		return func(s *scene) {
			s.parentsShow()
			change(s)
		}
	}
	runAll(t, []row{
		{"nobody vouches", begin(func(*scene) {}), Keep, InitialNotAccepted, "", nil},
		{"accepted by its DS", begin(func(s *scene) { s.policy.AcceptInitial = dsOf("new") }), Begin, InitialAccepted, "", []string{"new"}},
		{"accepted by another digest of the key", begin(func(s *scene) { s.policy.AcceptInitial = dsOf("new/4") }), Begin, InitialAccepted, "", []string{"new"}},
		{"another key is accepted", begin(func(s *scene) { s.policy.AcceptInitial = dsOf("old") }), Keep, InitialNotAccepted, "", nil},
		{"the tag is accepted with another digest", begin(func(s *scene) {
			s.policy.AcceptInitial = dsOf("new")
			s.policy.AcceptInitial[0].Digest = strings.Repeat("ab", 32)
		}), Keep, InitialNotAccepted, "", nil},
		{"one of two keys is accepted", begin(func(s *scene) {
			s.policy.AcceptInitial = dsOf("new")
			s.each(func(c *server) { c.cds, c.cdnskey = []string{"new", "old"}, []string{"new", "old"} })
		}), Keep, InitialNotAccepted, "", nil},
		{"accepted, and not signed by the key", begin(func(s *scene) {
			s.policy.AcceptInitial = dsOf("new")
			s.servers[1].recordSigners = []string{"old"}
		}), Keep, NotValidated, "child1", nil},
		{"accepted, and the zone is not signed by the key", begin(func(s *scene) {
			s.policy.AcceptInitial = dsOf("new")
			s.servers[1].signers = []string{"old"}
		}), Keep, NotValidated, "child1", nil},
		{"removal of what is not there", begin(func(s *scene) {
			s.each(func(c *server) { c.cds, c.cdnskey = []string{removeCDS}, []string{removeKey} })
		}), Keep, InSync, "", nil},
	})
}

func TestMarkIsKeptAndMovesForwardOnly(t *testing.T) {
	signed := at.Add(-time.Hour)
	for _, r := range []struct {
		name   string
		change func(*scene)
		mark   time.Time
	}{
		{"acted on", func(*scene) {}, signed},
		{"the older of two servers counts", func(s *scene) { s.servers[1].age = 2 * time.Hour }, at.Add(-2 * time.Hour)},
		{"refused", func(s *scene) { s.mark = at.Add(-time.Minute) }, at.Add(-time.Minute)},
		{"in sync with an older copy", func(s *scene) { s.mark = at; s.parentsShow("new"); s.each(func(c *server) { c.cds = []string{"new"} }) }, at},
		{"nothing could be read", func(s *scene) { s.mark = at; s.servers[0].problem = "no answer" }, at},
	} {
		t.Run(r.name, func(t *testing.T) {
			s := good()
			r.change(s)
			if d := Decide(s.facts()); !d.Mark.Equal(r.mark) {
				t.Errorf("%s: mark %s, want %s", d.Reason, d.Mark, r.mark)
			}
		})
	}
}

// A key that shares its tag with one that a DS stands for cannot speak for it.
func TestKeyWithTheSameTagIsNotTakenForAnother(t *testing.T) {
	k := pool()["old"].key
	twin := dns.Copy(k).(*dns.DNSKEY)
	// The tag is a sum over the key's octets: two that trade places an even number apart leave it alone.
	letters := []byte(twin.PublicKey)
	i := 0
	for letters[i] == letters[i+8] {
		i++
	}
	letters[i], letters[i+8] = letters[i+8], letters[i]
	twin.PublicKey = string(letters)
	if twin.KeyTag() != k.KeyTag() || twin.PublicKey == k.PublicKey {
		t.Fatal("the two keys do not share a tag")
	}
	if got := entryKeys([]*dns.DNSKEY{k, twin}, dsOf("old")); len(got) != 0 {
		t.Error("a key whose tag another one shares is taken for an entry")
	}
	if got := entryKeys([]*dns.DNSKEY{k}, dsOf("old")); len(got) != 1 {
		t.Error("the key alone is not taken for an entry")
	}
}

// What the parent and the zone show is told whatever comes of it: people hand it to a registrar.
func TestWhatIsShownIsTold(t *testing.T) {
	for _, c := range []struct {
		name                    string
		change                  func(*scene)
		expect, asked           []string
		expectKnown, askedKnown bool
	}{
		{"a rollover", func(*scene) {}, []string{"old"}, []string{"new"}, true, true},
		{"a request that would break the chain", func(s *scene) { s.servers[1].signers = []string{"old"} }, []string{"old"}, []string{"new"}, true, true},
		{"the first DS record, which nobody vouches for", func(s *scene) { s.parentsShow() }, nil, []string{"new"}, true, true},
		{"nothing asked", func(s *scene) { s.each(func(c *server) { c.cds, c.cdnskey = nil, nil }) }, []string{"old"}, []string{"old"}, true, true},
		{"nothing asked, and nothing there", func(s *scene) {
			s.parentsShow()
			s.each(func(c *server) { c.cds, c.cdnskey, c.keys = nil, nil, []string{"old", "zsk"} })
		}, nil, []string{"old"}, true, true},
		{"a key that one server alone shows", func(s *scene) {
			s.parentsShow()
			s.each(func(c *server) { c.cds, c.cdnskey = nil, nil })
			s.servers[1].keys = []string{"new", "zsk"}
		}, nil, []string{"new"}, true, true},
		{"removal", func(s *scene) {
			s.each(func(c *server) { c.cds, c.cdnskey = []string{removeCDS}, []string{removeKey} })
		}, []string{"old"}, nil, true, true},
		{"the parent is silent", func(s *scene) { s.parents[0].Problem = "no answer" }, nil, nil, false, false},
		{"the zone is silent", func(s *scene) { s.servers[0].problem = "no answer" }, []string{"old"}, nil, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good()
			c.change(s)
			d := Decide(s.facts())
			if !sameDS(d.Expect, dsOf(c.expect...)) || !sameDS(d.Asked, dsOf(c.asked...)) || d.ExpectKnown != c.expectKnown || d.AskedKnown != c.askedKnown {
				t.Errorf("%s: shown %s (%t), asked %s (%t)", d.Reason, listDS(d.Expect), d.ExpectKnown, listDS(d.Asked), d.AskedKnown)
			}
		})
	}
}

// A parent that is somebody else's is compared with, validated or not; all other checks are the same.
func TestCompare(t *testing.T) {
	s := good()
	s.parents[0].State = dnssec.Indeterminate
	if d := Compare(s.facts()); d.Action != Replace || d.Reason != Asked {
		t.Errorf("got %s, %s: %s", d.Action, d.Reason, d.Message)
	}
	s.parents[0].State = dnssec.Bogus
	if d := Compare(s.facts()); d.Action != Keep || d.Reason != ParentNotSecure {
		t.Errorf("a bogus answer: got %s, %s: %s", d.Action, d.Reason, d.Message)
	}
	s.parents[0].State = dnssec.Insecure
	s.servers[1].recordSigners = nil
	if d := Compare(s.facts()); d.Reason != NotValidated {
		t.Errorf("got %s: %s", d.Reason, d.Message)
	}
}
