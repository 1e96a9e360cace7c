package zone

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/internal/dnssec"
)

// zoneDNSSEC sums up what the servers show.
func (k *knowledge) zoneDNSSEC(cfg Config, e entry, found []seen) ZoneDNSSEC {
	out := ZoneDNSSEC{DSUnknown: e.err != nil && e.err.State() != dnssec.Insecure, DSTTL: e.ttl, Above: e.above}
	for _, ds := range e.ds {
		out.DS = append(out.DS, dnssec.PresentDS(ds))
	}
	var keys []*dns.DNSKEY
	for _, f := range found {
		if !f.health.Ignored {
			keys = append(keys, f.dnskeys...)
		}
		out.CDS = append(out.CDS, f.cds...)
		if !f.expires.IsZero() && (out.SignaturesExpire.IsZero() || f.expires.Before(out.SignaturesExpire)) {
			out.SignaturesExpire = f.expires
		}
	}
	for _, key := range keys {
		out.Algorithms = append(out.Algorithms, algorithmText(key.Algorithm))
		out.Keys = append(out.Keys, strconv.Itoa(int(key.KeyTag())))
	}
	for _, list := range []*[]string{&out.Algorithms, &out.Keys, &out.DS, &out.CDS} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	out.KeysChangedAt, out.KeyTTL = k.keysChanged(found)
	out.KeysChanging = !out.KeysChangedAt.IsZero()
	out.State, out.Message = zoneState(cfg.Zone, e, keys, found)
	out.Unsigned = isUnsigned(cfg.Zone, e.err)
	return out
}

// isUnsigned says whether an error of entering a zone is the proof that the zone above has no DS record of it. Where the
// servers of that zone differ no server is named: some may give some yet.
func isUnsigned(zone string, err *dnssec.Error) bool {
	return err != nil && err.Reason == dnssec.UnsignedDelegation && err.Subject == zone+" DS" && err.Server != ""
}

func algorithmText(a uint8) string {
	if s, ok := dns.AlgorithmToString[a]; ok {
		return s
	}
	return strconv.Itoa(int(a))
}

// zoneState is Secure when every server that answers validates; else it is that of the worst. Servers
// that the user excepted, and those that do not answer, say nothing: reachability is reported elsewhere.
// Where the zone cannot be entered, that is its state.
func zoneState(zone string, e entry, keys []*dns.DNSKEY, found []seen) (dnssec.State, string) {
	switch {
	case e.err != nil && e.err.Reason == dnssec.NoAnchor:
		return e.err.State(), withoutAnchor(e.err, keys)
	case e.err != nil:
		return e.err.State(), e.err.Error()
	}
	answered := false
	state, message := dnssec.Indeterminate, fmt.Sprintf("no server of the zone %s answers", zone)
	for _, f := range found {
		if f.health.Ignored || !f.health.Reachable {
			continue
		}
		s, text := dnssec.Secure, ""
		if f.err != nil {
			s, text = stateOf(f.err), fmt.Sprintf("%s: %v", serverText(f.health.Server), f.err)
		}
		if !answered || worse(s, state) {
			state, message = s, text
		}
		answered = true
	}
	return state, message
}

func stateOf(err error) dnssec.State {
	var e *dnssec.Error
	if errors.As(err, &e) {
		return e.State()
	}
	return dnssec.Indeterminate
}

func worse(a, b dnssec.State) bool {
	rank := map[dnssec.State]int{dnssec.Secure: 0, dnssec.Indeterminate: 1, dnssec.Insecure: 2, dnssec.Bogus: 3}
	return rank[a] > rank[b]
}

// withoutAnchor is what can be said of a zone that no trust anchor leads to: that it cannot be judged, whatever its servers
// show, and the DS record to copy. That they show no keys is no proof that it is unsigned: nobody above says so, and who
// answers in their place may have left them out.
func withoutAnchor(why error, keys []*dns.DNSKEY) string {
	if len(keys) == 0 {
		return fmt.Sprintf("%v; none of its servers shows a DNSKEY: if it is not signed, sign it first, for senders ignore TLSA records of unsigned zones", why)
	}
	var ds []string
	for _, key := range keys {
		if key.Flags&dns.SEP != 0 && key.Flags&dns.REVOKE == 0 {
			if made := key.ToDS(dns.SHA256); made != nil {
				ds = append(ds, strconv.Quote(dnssec.PresentDS(made)))
			}
		}
	}
	slices.Sort(ds)
	ds = slices.Compact(ds)
	return fmt.Sprintf("%v; its servers now show %s, which is to be compared with the signer's own key before it is trusted", why, strings.Join(ds, ", "))
}

// keysChanged says when the DNSKEY set last changed, and how long caches keep it: now while servers
// differ, never (zero) when the change is older than that. Servers that gave none are left out. Those that have
// differed in the same way for two TTLs are not behind: the zone has several signers (RFC 8901 section 2.1.2).
func (k *knowledge) keysChanged(found []seen) (time.Time, time.Duration) {
	sets, ttl := keySets(found)
	all := strings.Join(sets, "\n")
	now := k.opts.Clock.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	past := now.Sub(k.changedAt) >= k.keyTTL
	differ := len(sets) > 1
	changed := len(sets) > 0 && (k.keySet != "" && k.keySet != all || k.keySet == "" && differ)
	if changed {
		k.keySince = now
	}
	switch {
	case len(sets) == 0:
		if past {
			k.changedAt = time.Time{}
		}
		return k.changedAt, k.keyTTL
	case changed, differ && now.Sub(k.keySince) < 2*max(k.keyTTL, ttl):
		// The old set is cached for its own TTL.
		k.changedAt, k.keyTTL = now, max(k.keyTTL, ttl)
	case past:
		k.changedAt, k.keyTTL = time.Time{}, ttl
	default:
		k.keyTTL = max(k.keyTTL, ttl)
	}
	k.keySet = all
	return k.changedAt, k.keyTTL
}

// keySets are the DNSKEY sets that servers show, each once, and the longest of their TTLs.
func keySets(found []seen) (sets []string, ttl time.Duration) {
	for _, f := range found {
		if f.keySet != "" && !f.health.Ignored {
			sets = append(sets, f.keySet)
			ttl = max(ttl, f.keyTTL)
		}
	}
	slices.Sort(sets)
	return slices.Compact(sets), ttl
}

// lookedAt is what a look at a zone has found: the DNSKEY sets that servers showed, and the DS records of the zone above as text,
// empty where there are none, or none could be found, with how long caches keep these.
type lookedAt struct {
	zone  string
	keys  []string
	ds    string
	dsTTL time.Duration
}

// lookOf is what a look has found of keys and DS records.
func lookOf(cfg Config, e entry, found []seen) lookedAt {
	out := lookedAt{zone: cfg.Zone}
	out.keys, _ = keySets(found)
	if e.err == nil {
		out.ds, out.dsTTL = dsText(e.ds), e.ttl
	}
	return out
}

// noteLook has the sweeps from now on be compared with a look. Where no server gave keys, or none could find the DS records, what
// was found before is known yet. The actor calls it together with those who wait for the look, and not before: a sweep that is
// like a look of which nobody knows yet would say that all is as it was.
func (k *knowledge) noteLook(look lookedAt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.lookedAt
	k.lookedAt = look
	if was.zone != look.zone {
		return
	}
	if len(look.keys) == 0 {
		k.lookedAt.keys = was.keys
	}
	if look.ds == "" {
		k.lookedAt.ds, k.lookedAt.dsTTL = was.ds, was.dsTTL
	}
}

// unlike says whether a sweep has met keys or DS records that the newest look at the zone has not, and how long caches may keep
// these, or what they take the place of. A server that was silent has shown none, and of a zone whose keys no look has found
// nothing is said.
func (k *knowledge) unlike(cfg Config, e entry, found []seen) (unlike bool, keep time.Duration) {
	sets, ttl := keySets(found)
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.lookedAt
	if was.zone != cfg.Zone || len(was.keys) == 0 {
		return false, 0
	}
	if was.ds != "" && e.err == nil && dsText(e.ds) != was.ds {
		unlike, keep = true, max(was.dsTTL, e.ttl)
	}
	if slices.ContainsFunc(sets, func(set string) bool { return !slices.Contains(was.keys, set) }) {
		unlike, keep = true, max(keep, k.keyTTL, ttl)
	}
	return unlike, keep
}

// dsText is a DS set as text that is the same for the same set.
func dsText(set []*dns.DS) string {
	var out []string
	for _, ds := range set {
		out = append(out, dnssec.PresentDS(ds))
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n")
}
