package dnssec

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// rootAnchors is the file root-anchors.xml as IANA publishes it (RFC 9718 section 2).
type rootAnchors struct {
	XMLName xml.Name    `xml:"TrustAnchor"`
	Zone    string      `xml:"Zone"`
	Digests []keyDigest `xml:"KeyDigest"`
}

// keyDigest is one trust anchor of it. The key and its flags came later and may be missing.
type keyDigest struct {
	ID         string `xml:"id,attr"`
	ValidFrom  string `xml:"validFrom,attr"`
	ValidUntil string `xml:"validUntil,attr"`
	KeyTag     string `xml:"KeyTag"`
	Algorithm  string `xml:"Algorithm"`
	DigestType string `xml:"DigestType"`
	Digest     string `xml:"Digest"`
	PublicKey  string `xml:"PublicKey"`
	Flags      string `xml:"Flags"`
}

// parseRootAnchors reads the trust anchors that are valid at a time. The signature of the file is not looked at: whoever
// gives it to us has to.
func parseRootAnchors(r io.Reader, now time.Time) ([]Anchor, error) {
	const advice = "take it anew, and whole, from https://data.iana.org/root-anchors/root-anchors.xml"
	var file rootAnchors
	if err := decodeWhole(r, &file); err != nil {
		return nil, fmt.Errorf("%w: the file is XML, and not that of IANA (RFC 9718): %v; %s", ErrAnchor, err, advice) //nolint:errorlint // what is wrong with XML is for people
	}
	zone := strings.TrimSpace(file.Zone)
	if _, ok := dns.IsDomainName(zone); !ok || zone == "" || strings.ContainsAny(zone, " \t\r\n\"();#\\") {
		return nil, fmt.Errorf("%w: its element Zone is %q, and no domain name; %s", ErrAnchor, zone, advice)
	}
	var out []Anchor
	for _, d := range file.Digests {
		ds, valid, err := d.anchor(zone, now)
		if err != nil {
			return nil, fmt.Errorf("KeyDigest %q: %w; %s", d.ID, err, advice)
		}
		if valid {
			out = append(out, ds)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: of the %d trust anchors in it none is valid now (validFrom, validUntil): %s, and see that the clock is right", ErrAnchor, len(file.Digests), advice)
	}
	return out, nil
}

// decodeWhole reads one element, after which nothing but space and comments may come.
func decodeWhole(r io.Reader, into any) error {
	d := xml.NewDecoder(r)
	if err := d.Decode(into); err != nil {
		return err
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return errors.New("there is text after its end")
			}
		case xml.StartElement:
			return fmt.Errorf("there is another element %s after its end", t.Name.Local)
		}
	}
}

// anchor is the DS record, and whether it is valid at a time: not before validFrom, and not from validUntil on.
func (d keyDigest) anchor(zone string, now time.Time) (Anchor, bool, error) {
	from, err := d.time("validFrom", d.ValidFrom)
	if err != nil {
		return nil, false, err
	}
	until, err := d.time("validUntil", d.ValidUntil)
	if err != nil {
		return nil, false, err
	}
	var words []string
	for _, text := range []string{d.KeyTag, d.Algorithm, d.DigestType, d.Digest} {
		words = append(words, strings.Join(strings.Fields(text), ""))
	}
	ds, err := makeDS(zone, words)
	if err == nil {
		err = d.fits(ds)
	}
	if err != nil {
		return nil, false, err
	}
	return ds, !now.Before(from) && (until.IsZero() || now.Before(until)), nil
}

// time reads an attribute; zero where there is none. RFC 9718 wants a validFrom always.
func (d keyDigest) time(name, text string) (time.Time, error) {
	if text == "" && name == "validUntil" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%w: its %s %q is not a time such as 2017-02-02T00:00:00+00:00", ErrAnchor, name, text)
	}
	return at, nil
}

// fits makes sure that the digest is that of the key beside it, if there is one.
func (d keyDigest) fits(ds Anchor) error {
	if strings.TrimSpace(d.PublicKey) == "" {
		return nil
	}
	flags, err := strconv.ParseUint(strings.TrimSpace(d.Flags), 10, 16)
	if err != nil {
		return fmt.Errorf("%w: its Flags %q are not a number of 0 to 65535", ErrAnchor, d.Flags)
	}
	public := strings.Join(strings.Fields(d.PublicKey), "")
	if _, err := dsOfKey(ds.Hdr.Name, uint16(flags), ds.Algorithm, public); err != nil {
		return err
	}
	key := &dns.DNSKEY{Hdr: ds.Hdr, Flags: uint16(flags), Protocol: 3, Algorithm: ds.Algorithm, PublicKey: public}
	if made := key.ToDS(ds.DigestType); made == nil || PresentDS(made) != PresentDS(ds) {
		return fmt.Errorf("%w: its digest is not that of the PublicKey beside it", ErrAnchor)
	}
	return nil
}
