package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// This file is people who change a field of a spec, and take that back after a while.

const fieldFamily = "fields"

// fieldsOf draws when fields are edited, by themselves: what else befalls a history stays as it is.
func fieldsOf(seed uint64, length time.Duration) []Fault {
	r := rand.New(rand.NewPCG(seed, 6)) //nolint:gosec // not for secrets
	var out []Fault
	for range r.IntN(5) {
		f := fieldEdits[r.IntN(len(fieldEdits))]
		at := time.Duration(r.Int64N(int64(length)))
		out = append(out, Fault{At: at.Round(time.Second), Name: f.name, A: r.IntN(1000), B: r.IntN(1000)})
	}
	return out
}

// explains is for how long what was changed explains what comes about, once it is taken back: an issuance may be under
// way, a replica may load late, and an operator may read what is old.
const explains = 2 * time.Hour

var fieldEdits = []fault{
	{"edit-deadline", fieldFamily, 1, func(h *History, f Fault) {
		h.meanwhile(f, deadline, func(s *v1alpha1.MailDomainSpec) {
			s.Rollover.Deadline.BeforeExpiry = []v1alpha1.Duration{"30m", "2h", "48h"}[f.B%3]
			s.Rollover.Deadline.Action = []v1alpha1.DeadlineAction{v1alpha1.DeadlineProceed, v1alpha1.DeadlineHold}[f.B%2]
		}, nil)
	}},
	{"edit-dnssec", fieldFamily, 1, func(h *History, f Fault) {
		h.meanwhile(f, dnssecPolicy, func(s *v1alpha1.MailDomainSpec) { s.DNSSEC = v1alpha1.DNSSECIgnored }, nil)
	}},
	{"edit-foreign-records", fieldFamily, 1, func(h *History, f Fault) { h.editForeignRecords(f) }},
	{"edit-additional-records", fieldFamily, 1, func(h *History, f Fault) { h.editAdditionalRecords(f) }},
	{"edit-probe-mode", fieldFamily, 1, func(h *History, f Fault) { h.editProbeMode(f) }},
	{"edit-ports", fieldFamily, 2, func(h *History, f Fault) { h.editPorts(f) }},
	{"compromise-in-error", fieldFamily, 1, func(h *History, f Fault) { h.compromiseInError(f) }},
}

// field puts a field back as it was.
type field struct {
	name string
	back func(s, before *v1alpha1.MailDomainSpec)
}

var (
	deadline          = field{"deadline", func(s, b *v1alpha1.MailDomainSpec) { s.Rollover.Deadline = b.Rollover.Deadline }}
	dnssecPolicy      = field{"dnssec", func(s, b *v1alpha1.MailDomainSpec) { s.DNSSEC = b.DNSSEC }}
	foreignRecords    = field{"foreignRecords", func(s, b *v1alpha1.MailDomainSpec) { s.TLSA.ForeignRecords = b.TLSA.ForeignRecords }}
	additionalRecords = field{"additionalRecords", func(s, b *v1alpha1.MailDomainSpec) { s.TLSA.AdditionalRecords = b.TLSA.AdditionalRecords }}
	servers           = field{"mailServers", func(s, b *v1alpha1.MailDomainSpec) {
		for i := range s.MailServers {
			for _, was := range b.MailServers {
				if m := &s.MailServers[i]; m.Hostname == was.Hostname {
					m.Ports, m.Probe = was.Ports, was.Probe
				}
			}
		}
	}}
)

// otherPort is the port that a person adds to a host.
const otherPort = 465

func portOf(owner string) int32 {
	if strings.HasPrefix(owner, "_25.") {
		return 25
	}
	return otherPort
}

// meanwhile has a person change a field, unless one is at work on the MailDomain, or it is changed already, and take that
// back after a while, or when all faults end.
func (h *History) meanwhile(f Fault, what field, change func(*v1alpha1.MailDomainSpec), back func()) bool {
	d := h.target(f)
	md := h.object(d)
	if md == nil || d.disturbed() || d.undo[what.name] != nil {
		return false
	}
	before := md.Spec.DeepCopy()
	h.count("changed for a while: " + f.Name)
	h.editFields(d, change)
	h.takeBack(d, what.name, f.lasts(3*time.Hour), func() {
		h.editFields(d, func(s *v1alpha1.MailDomainSpec) { what.back(s, before) })
		if back != nil {
			back()
		}
	})
	return true
}

// takeBack has a person take a change back after a while, or when all faults end.
func (h *History) takeBack(d *mailDomain, what string, in time.Duration, how func()) {
	undo := func() {
		if d.undo[what] == nil {
			return
		}
		delete(d.undo, what)
		h.say("people", "%s: %s is as before", d.name, what)
		h.troubled = later(h.troubled, h.now.Add(30*time.Minute))
		how()
	}
	d.undo[what] = undo
	h.after(in, undo)
}

// compromiseInError lists the key in use as compromised, for a while.
func (h *History) compromiseInError(f Fault) {
	d := h.hosts[f.A%len(h.hosts)].of
	listed := h.compromise(f)
	if listed == "" {
		return
	}
	h.takeBack(d, "compromised key "+string(listed), f.lasts(2*time.Hour), func() {
		h.count("compromise taken back")
		h.editFields(d, func(s *v1alpha1.MailDomainSpec) {
			s.Rollover.CompromisedKeys = slices.DeleteFunc(s.Rollover.CompromisedKeys, func(k v1alpha1.SPKIDigest) bool { return k == listed })
		})
	})
}

// editFields changes a spec wherever it is kept: a person may have deleted the MailDomain meanwhile, or taken a host out.
func (h *History) editFields(d *mailDomain, how func(*v1alpha1.MailDomainSpec)) {
	h.editSpec(d, how)
	if d.deleted != nil {
		how(d.deleted)
	}
	if d.away != nil {
		s := &v1alpha1.MailDomainSpec{MailServers: []v1alpha1.MailServer{*d.away}}
		how(s)
		*d.away = s.MailServers[0]
	}
	if md := h.object(d); md != nil {
		h.weigh(d, &md.Spec)
	}
}

// weigh notes whether a spec lets new keys out too early.
func (h *History) weigh(d *mailDomain, spec *v1alpha1.MailDomainSpec) {
	for _, of := range d.hosts {
		was := of.risk
		if of.risk = d.takesRisks(spec, of); was && !of.risk {
			h.riskFor(of)
		}
	}
}

// editForeignRecords has foreign records taken out, for a while or for good: one that stands, and one that comes.
func (h *History) editForeignRecords(f Fault) {
	h.addForeign(f)
	h.after(f.lasts(20*time.Minute), func() { h.addForeign(Fault{A: f.A, B: f.B + 1}) })
	d := h.target(f)
	remove := func(s *v1alpha1.MailDomainSpec) { s.TLSA.ForeignRecords = v1alpha1.ForeignRemove }
	forGood := f.A%2 == 0
	if forGood && h.object(d) != nil && !d.disturbed() && d.undo[foreignRecords.name] == nil {
		h.count("foreign records are to go for good")
		h.editFields(d, remove)
		d.removesUntil = forever
		return
	}
	if !forGood && d.removesUntil != forever && h.meanwhile(f, foreignRecords, remove, func() { d.removesUntil = h.now.Add(explains) }) {
		d.removesUntil = forever
	}
}

// editAdditionalRecords adds the records of a key elsewhere, one of each parameter set of usage 3 that the spec has: a SHA-256 without
// its SHA-512 would be one that senders ignore (docs/reliability.md, open points).
func (h *History) editAdditionalRecords(f Fault) {
	d := h.target(f)
	md := h.object(d)
	if md == nil || d.editedSets {
		return
	}
	var records []v1alpha1.TLSARecord
	for _, set := range md.Spec.TLSA.Parameters {
		digits := map[byte]int{'1': 62, '2': 126}[set[len(set)-1]]
		if set[0] == '3' {
			records = append(records, v1alpha1.TLSARecord(fmt.Sprintf("%s ad%0*x", set, digits, f.B)))
		}
	}
	d.elsewhere = h.meanwhile(f, additionalRecords, func(s *v1alpha1.MailDomainSpec) { s.TLSA.AdditionalRecords = records }, nil) || d.elsewhere
}

// editPorts adds a port to some hosts. It stays where the status was lost, or somebody else's records were added, since such a
// record may be all that stays when the port leaves (docs/reliability.md, open points).
func (h *History) editPorts(f Fault) {
	d := h.target(f)
	what := field{servers.name, func(s, before *v1alpha1.MailDomainSpec) {
		if !d.foreignAmong() {
			servers.back(s, before)
			d.portGone = h.now
		}
	}}
	h.meanwhile(f, what, func(s *v1alpha1.MailDomainSpec) {
		for i := range s.MailServers {
			if m := &s.MailServers[i]; len(m.Certificates) > 0 && len(m.Ports) == 1 && (f.B+i)%3 > 0 {
				m.Ports = append(m.Ports, v1alpha1.MailServerPort{Port: otherPort})
			}
		}
	}, nil)
}

// portLeaves says that a port has left the spec, and may still be in DNS or in caches: if the status is lost then, nobody knows of
// it any more (docs/reliability.md, open points).
func (h *History) portLeaves(d *mailDomain) bool {
	return h.now.Before(d.portGone.Add(explains))
}

// editProbeMode has a person vouch for the endpoints, who does not look whether they have loaded what is new.
func (h *History) editProbeMode(f Fault) {
	d := h.target(f)
	if h.meanwhile(f, servers, func(s *v1alpha1.MailDomainSpec) {
		for i := range s.MailServers {
			s.MailServers[i].Probe.Mode = v1alpha1.ProbeDisabled
		}
	}, func() {
		for _, of := range d.hosts {
			of.vouchedUntil = h.now.Add(explains)
		}
	}) {
		for _, of := range d.hosts {
			of.vouched, of.vouchedUntil = true, forever
		}
	}
}
