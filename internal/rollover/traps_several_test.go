package rollover

import (
	"slices"
	"testing"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// ofCertificate is a chain of Certificate mx1 whose 3 0 1 record depends on its serial number.
func (s *scene) ofCertificate(name, serial string, stage KeyStage) Key {
	k := Key{ID: digest(name), SPKI: digest(name), Serial: serial, Certificate: "mx1", Stage: stage}
	for _, p := range s.policy.Parameters {
		if p == p301 {
			k.ID = digest(name) + "/" + serial
			k.Records = append(k.Records, of(p, name+serial)...)
			continue
		}
		k.Records = append(k.Records, of(p, name)...)
	}
	k.Records = tlsa.Normalize(k.Records)
	return k
}

// severalTraps are about several certificates and keys of a host at once.
var severalTraps = []trap{
	{"a renewal with the same key changes its 3 0 1 record, and waits with Stage", func(t *testing.T) {
		s := newScene(t)
		s.policy.Strategy, s.policy.Parameters = Stage, []tlsa.Parameters{p301}
		s.keys = []Key{s.ofCertificate("a", "1", StageDeployed)}
		s.endpoints[0].key = s.keys[0]
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		s.keys = append(s.keys, s.ofCertificate("a", "2", StageIssued))
		s.work()
		s.showsExactly(of(p301, "a1", "a2"))
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		if d := s.at(gone.Add(soak - time.Second)); slices.Contains(d.Deploy, s.keys[1].ID) {
			t.Error("the renewed certificate is served before its record is known")
		}
		if d := s.at(gone.Add(soak)); !slices.Contains(d.Deploy, s.keys[1].ID) {
			t.Fatalf("it waits: %+v", d.Waits)
		}
		s.keys = []Key{s.ofCertificate("a", "2", StageDeployed)}
		s.settle() // the endpoint presents the certificate of before
		s.showsExactly(of(p301, "a1", "a2"))
		s.endpoints[0].key = s.keys[0]
		s.settle()
		s.at(s.now.Add(25 * time.Hour))
		s.showsExactly(of(p301, "a2"))
	}},
	{"3 0 1 comes to 3 1 1 with Stage, and goes again: the key keeps what is known of it", func(t *testing.T) {
		s := newScene(t)
		s.policy.Strategy = Stage
		s.keys = []Key{s.ofCertificate("a", "1", StageDeployed)}
		s.endpoints[0].key = s.keys[0]
		s.settle()
		since := s.states[0].Since
		s.now = s.now.Add(72 * time.Hour)
		for _, params := range [][]tlsa.Parameters{{p311, p301}, {p311}} {
			s.policy.Parameters = params
			s.keys = []Key{s.ofCertificate("a", "1", StageDeployed)}
			s.endpoints[0].key = s.keys[0]
			d := s.settle()
			s.showsExactly(s.keys[0].Records)
			if len(d.Keys) != 1 || d.Keys[0].Role != roleCurrent || !d.Keys[0].Since.Equal(since) || d.Unsafe != nil {
				t.Errorf("with %v: keys %+v, unsafe %+v", params, d.Keys, d.Unsafe)
			}
		}
	}},
	{"an ECDSA and an RSA key roll at once, and one is done early", func(t *testing.T) {
		s := newScene(t)
		rsa := func(name string, stage KeyStage) Key {
			k := s.hold(name, stage)
			s.keys[len(s.keys)-1].Certificate = "mx1-rsa"
			return k
		}
		s.endpoint("192.0.2.1", 25, rsa("r", StageDeployed))
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		s.settle()
		s.showsExactly(of(p311, "a", "r"))
		early := s.requests("b")
		s.now = early.Add(time.Hour)
		rsa("q", StageRequested)
		s.work()
		s.showsExactly(of(p311, "a", "b", "q", "r"))
		late := s.now.Add(10 * time.Second)
		s.now = late
		s.settle()
		s.heldUntil("b", early.Add(soak))
		s.held(s.work(), "q", WaitCaches)
		s.deploys("b", "a")
		if d := s.settle(); d.Unsafe != nil {
			t.Errorf("unsafe: %+v", d.Unsafe)
		}
		s.heldUntil("q", late.Add(soak))
		s.deploys("q", "r")
		s.settle()
		s.at(s.now.Add(25 * time.Hour))
		s.settle()
		s.showsExactly(of(p311, "b", "q"))
	}},
	{"the key algorithm changes, and the standby key of the old one is dropped", func(t *testing.T) {
		s := published(t)
		s.hold("old", StageStandby)
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		s.settle()
		s.drop("old")
		s.hold("new", StageStandby)
		s.work()
		s.showsExactly(of(p311, "a", "new"))
		gone := s.now.Add(10 * time.Second)
		s.now = gone
		s.settle()
		s.hold("new", StageRequested)
		s.heldUntil("new", gone.Add(soak))
		// The old one is not let through on what stood there before.
		s.hold("old", StageRequested)
		s.work()
		s.held(s.work(), "old", WaitPropagation)
	}},
	{"the TTL is lowered while a key waits", func(t *testing.T) {
		s := published(t)
		gone := s.requests("b")
		s.policy.TTL = 5 * time.Minute
		s.settle()
		s.heldUntil("b", gone.Add(soak)) // by the TTL of the answer without it
		s.deploys("b", "a")
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		gone = s.requests("c")
		s.heldUntil("c", gone.Add(time.Hour+10*time.Minute))
	}},
	{"publishSafety is lowered and raised while a key waits", func(t *testing.T) {
		s := newScene(t)
		s.policy.PublishSafety = 3 * time.Hour
		s.settle()
		s.now = s.now.Add(72 * time.Hour)
		gone := s.requests("b")
		s.policy.PublishSafety = 0
		s.held(s.at(gone.Add(time.Hour)), "b", WaitCaches)
		s.policy.PublishSafety = 2 * time.Hour
		s.heldUntil("b", gone.Add(3*time.Hour+5*time.Minute))
	}},
}
