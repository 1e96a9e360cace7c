package zone

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// outcome is how a message to the primary ended, before any read-back.
type outcome struct {
	class   Class
	message string
	// retryable as in Result.
	retryable bool
	// ambiguous says that the message may have been carried out all the same.
	ambiguous bool
	// prerequisite says that the server found the RRset to be other than expected.
	prerequisite bool
	// splittable says that one member of a batch may be the cause for all.
	splittable bool
	// unclear says that the server refused a query, and that its answer to an update tells more of why.
	unclear bool
}

// who names the parties of a message for people.
type who struct {
	zone, server, key string
	// owner is the name concerned; empty for a message as a whole.
	owner string
	// kind is the type of the records; zero means TLSA.
	kind uint16
	// keyKnown says that the server has verified signatures of this key on queries just now.
	keyKnown bool
}

// classify turns a reply to an update, or the lack of one, into a class and advice. Servers differ:
// Knot says BADKEY when an ACL does not match, PowerDNS says REFUSED to everything it dislikes.
func classify(w who, r reply, now time.Time) outcome {
	if r.msg == nil {
		return classifySilence(w, r.err)
	}
	if r.err != nil && r.msg.Rcode == dns.RcodeSuccess {
		return outcome{class: UnsignedReply, retryable: true, ambiguous: true, message: fmt.Sprintf(
			"%s answered an update of %s with NOERROR, and it cannot be believed: %v; look for something between here and the server that rewrites DNS (a proxy, a forwarder), and send updates to the primary itself",
			w.server, w.zone, r.err)}
	}
	switch r.msg.Rcode {
	case dns.RcodeSuccess:
		return outcome{class: Applied}
	case dns.RcodeNotAuth:
		return classifyNotAuth(w, r.msg, now)
	case dns.RcodeRefused:
		return outcome{class: NotPermitted, splittable: true, message: refusedText(w, r.msg)}
	case dns.RcodeNXRrset, dns.RcodeYXRrset, dns.RcodeNameError, dns.RcodeYXDomain:
		return outcome{class: Conflict, prerequisite: true, retryable: true, message: fmt.Sprintf(
			"%s says that the records at %s are not those expected (%s): somebody else changed them", w.server, w.subject(), rcodeText(r.msg.Rcode))}
	}
	return classifyRest(w, r.msg)
}

// classifyRest is for codes that say nothing of keys or records.
func classifyRest(w who, m *dns.Msg) outcome {
	code, extra := rcodeText(m.Rcode), edeText(m)
	switch m.Rcode {
	case dns.RcodeServerFailure:
		return outcome{class: ServerFailure, retryable: true, ambiguous: true, splittable: true, message: fmt.Sprintf(
			"%s answered SERVFAIL to an update of %s: see its log for the zone %s (disk, journal, zone just loading; Knot: a bad update of another client at the same moment; PowerDNS with SQLite: the database is locked)%s", w.server, w.subject(), w.zone, extra)}
	case dns.RcodeNotZone:
		return outcome{class: NotInZone, splittable: true, message: fmt.Sprintf(
			"%s says that %s is outside the zone %s (NOTZONE): compare spec.zone with the zone that the server is configured with%s", w.server, w.subject(), w.zone, extra)}
	case dns.RcodeNotImplemented:
		return outcome{class: UpdatesDisabled, message: fmt.Sprintf(
			"%s does not take dynamic updates (NOTIMP): switch them on (PowerDNS: dnsupdate=yes; BIND: update-policy in the zone; Knot: an acl with action: update), or name another server%s", w.server, extra)}
	case dns.RcodeFormatError:
		return outcome{class: Malformed, splittable: true, message: fmt.Sprintf(
			"%s cannot read the update of %s (FORMERR): it may limit the size of messages, or something in between alters them%s", w.server, w.subject(), extra)}
	}
	return outcome{class: ServerFailure, retryable: true, ambiguous: true, message: fmt.Sprintf(
		"%s answered %s to an update of %s%s", w.server, code, w.subject(), extra)}
}

// classifyNotAuth reads the TSIG error (RFC 8945 section 5.3.2).
func classifyNotAuth(w who, m *dns.Msg, now time.Time) outcome {
	t := m.IsTsig()
	if t == nil || t.Error == dns.RcodeSuccess {
		return outcome{class: NotPrimary, message: fmt.Sprintf(
			"%s says NOTAUTH without a TSIG error: it is not the primary of the zone %s%s; set spec.update.nameserver to the primary, and spec.zone to the apex as configured there", w.server, w.zone, unsignedHint(w))}
	}
	switch t.Error {
	case dns.RcodeBadSig:
		return outcome{class: BadSecret, message: fmt.Sprintf(
			"%s has a key %s with another secret (BADSIG), and %s was not changed: put the base64 text of the server's key file into the Secret that spec.update.tsigSecretSecretRef names", w.server, w.key, w.subject())}
	case dns.RcodeBadKey:
		return badKey(w)
	case dns.RcodeBadTime:
		return outcome{class: ClockSkew, retryable: true, message: skewText(w, t, now)}
	}
	return outcome{class: BadKeyOrACL, message: fmt.Sprintf(
		"%s refused the signature of key %s under a change of %s (TSIG error %s): compare algorithm and secret on both sides", w.server, w.key, w.subject(), rcodeText(int(t.Error)))}
}

func badKey(w who) outcome {
	if w.keyKnown {
		return outcome{class: BadKeyOrACL, splittable: true, message: fmt.Sprintf(
			"%s knows key %s and does not let it change %s (BADKEY to an update, not to a query): with Knot this is an acl that does not match (update-type, update-owner, update-owner-name); allow %s", w.server, w.key, w.subject(), grantText(w))}
	}
	return outcome{class: BadKeyOrACL, splittable: true, message: fmt.Sprintf(
		"%s does not know key %s with this algorithm (BADKEY), or with Knot an acl does not match: configure the key on the server under exactly this name and algorithm, and allow %s", w.server, w.key, grantText(w))}
}

func unsignedHint(w who) string {
	if w.key == "" {
		return ", or it wants updates to be signed (Knot says NOTAUTH to unsigned ones: set spec.update.tsigKeyName and tsigSecretSecretRef)"
	}
	return ""
}

func (w who) subject() string {
	if w.owner != "" {
		return w.owner
	}
	return "the zone " + w.zone
}

func (w who) kindText() string {
	if w.kind != 0 {
		return dns.TypeToString[w.kind]
	}
	return "TLSA"
}

// grantText says what the server should allow.
func grantText(w who) string {
	owner := w.owner
	if owner == "" {
		owner = "_25._tcp.HOST." + strings.TrimSuffix(w.zone, ".") + "."
	}
	key := w.key
	if key == "" {
		key = "a TSIG key"
	}
	return fmt.Sprintf("%s to change %s at %s in the zone %s", key, w.kindText(), owner, w.zone)
}

func refusedText(w who, m *dns.Msg) string {
	key := strings.TrimSuffix(w.key, ".")
	owner := w.owner
	if owner == "" {
		owner = "*." + w.zone
	}
	if w.key == "" {
		return fmt.Sprintf("%s refused an unsigned update of %s (REFUSED): set spec.update.tsigKeyName and tsigSecretSecretRef to a key that the server lets change %s at %s%s", w.server, w.subject(), w.kindText(), owner, edeText(m))
	}
	if m.IsTsig() == nil {
		return unsignedRefusalText(w, m)
	}
	return fmt.Sprintf("%s refused to let key %s change %s in the zone %s (REFUSED): allow it (BIND: update-policy { grant %s name %s %s; }; Knot: acl with action: update, update-type: %s, update-owner-name: %s; PowerDNS: metadata TSIG-ALLOW-DNSUPDATE %s of the zone, and the address of the operator in allow-dnsupdate-from), and see that the zone is not frozen (rndc thaw, knotc zone-thaw)%s",
		w.server, w.key, w.subject(), w.zone, key, owner, w.kindText(), w.kindText(), owner, key, edeText(m))
}

// unsignedRefusalText is for REFUSED without a signature to a signed update. BIND and Knot sign theirs.
func unsignedRefusalText(w who, m *dns.Msg) string {
	return fmt.Sprintf("%s refused an update of %s that key %s signed, and did not sign its refusal (REFUSED): PowerDNS says so, and no more, to a key that it does not know under this name and algorithm, to another secret, and to a clock that is more than %d seconds off; compare name, algorithm and secret with pdnsutil list-tsig-keys, keep both clocks in step by NTP, and see that dnsupdate=yes is set and that allow-dnsupdate-from has the operator's address; another server refuses like this that is not the primary of the zone %s%s",
		w.server, w.subject(), w.key, fudge, w.zone, edeText(m))
}

// skewText tells the difference of the clocks from the server's time in Other Data (RFC 8945 section
// 5.2.3: six octets of seconds).
func skewText(w who, t *dns.TSIG, now time.Time) string {
	octets, err := hex.DecodeString(t.OtherData)
	if err != nil || len(octets) != 6 {
		return fmt.Sprintf("the clocks of %s and of this machine differ by more than %d seconds (BADTIME), and %s was not changed: keep both in step by NTP", w.server, fudge, w.subject())
	}
	var server int64
	for _, o := range octets {
		server = server<<8 | int64(o)
	}
	skew := time.Duration(server-now.Unix()) * time.Second
	side := "ahead of"
	if skew < 0 {
		side = "behind"
	}
	return fmt.Sprintf("the clock of %s is %s %s this machine's; TSIG allows %d seconds (BADTIME), and %s was not changed: keep both in step by NTP", w.server, roughly(skew), side, fudge, w.subject())
}

// roughly tells how long d is, and the same for a clock that drifts or a reply that took a little longer.
func roughly(d time.Duration) string {
	step, unit, word := 10*time.Second, time.Second, "second"
	d = d.Abs()
	switch {
	case d >= time.Hour:
		step, unit, word = time.Hour, time.Hour, "hour"
	case d >= 2*time.Minute:
		step, unit, word = time.Minute, time.Minute, "minute"
	}
	n := int64(d.Round(step) / unit)
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// classifySilence is for requests without a usable reply.
func classifySilence(w who, err error) outcome {
	out := outcome{class: Unreachable, retryable: true, ambiguous: true}
	out.message = fmt.Sprintf("%s, the primary of the zone %s: %s", w.server, w.zone, silenceText(err))
	if errors.Is(err, ErrConfig) {
		out = outcome{class: ConfigError, message: fmt.Sprintf("zone %s: %v", w.zone, err)}
	}
	return out
}

// silenceText says in words why nothing usable came; it is the same for every attempt.
func silenceText(err error) string {
	var noTLS *noTLSError
	var hungUp *hungUpError
	switch {
	case err == nil:
		return "there was no reply"
	case errors.As(err, &noTLS):
		return noTLS.Error()
	case errors.As(err, &hungUp):
		return hungUp.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "there was no reply in time: it is down, a firewall drops the packets, or it is overloaded"
	case errors.Is(err, context.Canceled):
		return "the attempt was given up because the operator is stopping or was reconfigured"
	}
	return stableError(err)
}

// stableError takes the local address, whose port changes, out of network errors.
func stableError(err error) string {
	text := cleanText(err.Error())
	if i := strings.Index(text, "->"); i >= 0 {
		if j := strings.LastIndex(text[:i], " "); j >= 0 {
			text = text[:j+1] + text[i+2:]
		}
	}
	return text
}
