package delegation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// request is what CDS and CDNSKEY records ask for.
type request struct {
	// remove says that there should be no DS RRset.
	remove bool
	// cds are the CDS records as DS records, keys the CDNSKEY records as DNSKEYs.
	cds  []*dns.DS
	keys []*dns.DNSKEY
	// ds is the DS RRset asked for, sorted: of the digest types that we publish.
	ds []*dns.DS
}

// readRequest reads the records of one server; the others have the same.
func (l *look) readRequest(c Child) *Decision {
	var r request
	removeCDS, problem := r.readCDS(l.Child, c.CDS.Records)
	if problem != "" {
		return keep(Malformed, "", "the CDS records of %s cannot be acted on: %s; correct them at the signer", l.Child, problem)
	}
	removeKey, problem := r.readCDNSKEY(l.Child, c.CDNSKEY.Records)
	if problem != "" {
		return keep(Malformed, "", "the CDNSKEY records of %s cannot be acted on: %s; correct them at the signer", l.Child, problem)
	}
	both := len(c.CDS.Records) > 0 && len(c.CDNSKEY.Records) > 0
	if both {
		if problem := r.contradiction(removeCDS, removeKey); problem != "" {
			return keep(Contradictory, "", "the CDS and CDNSKEY records of %s contradict each other: %s; correct them at the signer", l.Child, problem)
		}
	}
	r.remove = removeCDS || removeKey
	if !r.remove {
		if d := l.chooseDigests(&r); d != nil {
			return d
		}
	}
	l.asked, l.askedKnown = r, true
	return nil
}

// readCDS reads CDS records; the first result says that they are the request for removal (RFC 8078
// section 4), the second what is wrong with them.
func (r *request) readCDS(child string, set []dns.RR) (bool, string) {
	for _, rr := range set {
		cds, ok := rr.(*dns.CDS)
		if !ok || dns.CanonicalName(cds.Hdr.Name) != child {
			return false, fmt.Sprintf("%q is no CDS record of the zone", rr)
		}
		if cds.Algorithm == 0 {
			removal := cds.KeyTag == 0 && cds.DigestType == 0 && cds.Digest == "00"
			return readRemoval(removal, rr, set, "CDS 0 0 0 00")
		}
		ds := cds.DS
		ds.Hdr = dsHeader(child, rr)
		if want, known := digestLength[ds.DigestType]; known && len(ds.Digest) != want {
			return false, fmt.Sprintf("the digest of %q has the wrong length", presentation(rr))
		}
		r.cds = append(r.cds, &ds)
	}
	return false, ""
}

// readCDNSKEY is readCDS for CDNSKEY records.
func (r *request) readCDNSKEY(child string, set []dns.RR) (bool, string) {
	for _, rr := range set {
		key, ok := rr.(*dns.CDNSKEY)
		if !ok || dns.CanonicalName(key.Hdr.Name) != child {
			return false, fmt.Sprintf("%q is no CDNSKEY record of the zone", rr)
		}
		if key.Algorithm == 0 {
			removal := key.Flags == 0 && key.Protocol == 3 && key.PublicKey == "AA=="
			return readRemoval(removal, rr, set, "CDNSKEY 0 3 0 AA==")
		}
		plain := key.DNSKEY
		plain.Hdr.Name, plain.Hdr.Rrtype = child, dns.TypeDNSKEY
		if len(zoneKeys(child, []dns.RR{&plain})) == 0 {
			return false, fmt.Sprintf("key %d is not a zone key in force (flags %d, protocol %d)", key.KeyTag(), key.Flags, key.Protocol)
		}
		r.keys = append(r.keys, &plain)
	}
	return false, ""
}

// readRemoval reads a record with algorithm 0, which means the one thing (RFC 8078 section 4), and only
// alone.
func readRemoval(exact bool, rr dns.RR, set []dns.RR, form string) (bool, string) {
	switch {
	case !exact:
		return false, fmt.Sprintf("%q has algorithm 0 and is not the request for removal, %s", presentation(rr), form)
	case len(texts(set)) > 1:
		return false, fmt.Sprintf("the request for removal (%s) stands beside other records", form)
	}
	return true, ""
}

// contradiction says in what the two kinds of records differ (RFC 7344 section 4: they must not).
func (r *request) contradiction(removeCDS, removeKey bool) string {
	if removeCDS != removeKey {
		return "only one of the two asks to have the DS records removed"
	}
	for _, ds := range r.cds {
		if !slices.ContainsFunc(r.keys, func(k *dns.DNSKEY) bool { return stands(ds, k) }) {
			return fmt.Sprintf("no CDNSKEY record has the key of CDS %s", presentDS(ds))
		}
	}
	for _, k := range r.keys {
		if !slices.ContainsFunc(r.cds, func(ds *dns.DS) bool { return stands(ds, k) }) {
			return fmt.Sprintf("no CDS record stands for the CDNSKEY with tag %d", k.KeyTag())
		}
	}
	return ""
}

// stands says whether a DS record is that of a key. By a digest type that cannot be computed here it
// may be.
func stands(ds *dns.DS, k *dns.DNSKEY) bool {
	if ds.Algorithm != k.Algorithm || ds.KeyTag != k.KeyTag() {
		return false
	}
	made := k.ToDS(ds.DigestType)
	return made == nil || strings.EqualFold(made.Digest, ds.Digest)
}
