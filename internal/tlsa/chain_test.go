package tlsa

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
)

// documentation are the addresses of RFC 5737, and withAddress puts one of them into a certificate.
var documentation = []*net.IPNet{{IP: net.IPv4(192, 0, 2, 0).To4(), Mask: net.CIDRMask(24, 32)}}

func withAddress(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1).To4()} }

// TestTrustAnchorPath checks what a sender demands between the leaf and the trust anchor.
func TestTrustAnchorPath(t *testing.T) {
	type certificates struct{ root, ca, leaf func(*x509.Certificate) }
	for _, tc := range []struct {
		reason string
		c      certificates
		want   Reason
		detail string
	}{
		{"all good", certificates{}, ReasonMatched, ""},
		{"expired leaf", certificates{leaf: expired}, ReasonExpired, "CN=leaf"},
		{"expired CA between", certificates{ca: expired}, ReasonExpired, "CN=ca"},
		{"expired trust anchor", certificates{root: expired}, ReasonExpired, "CN=root"},
		{"leaf not valid yet", certificates{leaf: notYetValid}, ReasonNotYetValid, "CN=leaf"},
		{"CA that is none", certificates{ca: func(c *x509.Certificate) { c.IsCA = false }}, ReasonChainInvalid, "no CA"},
		{"trust anchor that is no CA", certificates{root: func(c *x509.Certificate) { c.IsCA = false }}, ReasonChainInvalid, "no CA"},
		{"CA that may not sign", certificates{ca: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }}, ReasonChainInvalid, "may not sign"},
		{"CA without key usage", certificates{ca: func(c *x509.Certificate) { c.KeyUsage = 0 }}, ReasonMatched, ""},
		{"leaf for clients", certificates{leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }}, ReasonChainInvalid, "extended key usage"},
		{"leaf for anything", certificates{leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }}, ReasonChainInvalid, "extended key usage"},
		{"leaf without extended key usage", certificates{leaf: func(c *x509.Certificate) { c.ExtKeyUsage = nil }}, ReasonMatched, ""},
		{"CA for mail clients", certificates{ca: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }}, ReasonChainInvalid, "extended key usage"},
		{"leaf that only signs certificates", certificates{leaf: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }}, ReasonChainInvalid, "key usage"},
		{"path length too short", certificates{root: func(c *x509.Certificate) { c.MaxPathLenZero = true }}, ReasonChainInvalid, "allows only 0"},
		{"path length long enough", certificates{root: func(c *x509.Certificate) { c.MaxPathLen = 1 }}, ReasonMatched, ""},
		{"unknown critical extension", certificates{leaf: func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}}, ReasonChainInvalid, "critical extension"},
		{"name not permitted", certificates{ca: func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.net"} }}, ReasonChainInvalid, "name constraints"},
		{"name permitted", certificates{ca: func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"Example.com"} }}, ReasonMatched, ""},
		{"only names below are permitted", certificates{ca: func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"." + host} }}, ReasonChainInvalid, "name constraints"},
		{"name excluded", certificates{root: func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{host} }}, ReasonChainInvalid, "name constraints"},
		{"common name not permitted", certificates{ca: func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }, leaf: nameless}, ReasonChainInvalid, "name constraints"},
		{"address excluded", certificates{
			ca:   func(c *x509.Certificate) { c.ExcludedIPRanges = documentation },
			leaf: withAddress,
		}, ReasonChainInvalid, "name constraints"},
		{"address permitted", certificates{
			ca:   func(c *x509.Certificate) { c.PermittedIPRanges = documentation },
			leaf: withAddress,
		}, ReasonMatched, ""},
		{"address not permitted", certificates{
			ca: func(c *x509.Certificate) {
				c.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}}
			},
			leaf: withAddress,
		}, ReasonChainInvalid, "name constraints"},
		{"address without constraints", certificates{leaf: withAddress}, ReasonMatched, ""},
		{"another name", certificates{leaf: func(c *x509.Certificate) { c.DNSNames = []string{"mx2.example.com"} }}, ReasonNameMismatch, "mx2.example.com"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			none := func(*x509.Certificate) {}
			or := func(f func(*x509.Certificate)) func(*x509.Certificate) {
				if f == nil {
					return none
				}
				return f
			}
			root := issue(t, nil, "root", asCA(or(tc.c.root)))
			ca := issue(t, root, "ca", asCA(or(tc.c.ca)))
			leaf := issue(t, ca, "leaf", forHost(or(tc.c.leaf)))
			for _, params := range []string{"2 0 1", "2 0 0", "2 1 2"} {
				got := Match([]Record{recordOf(t, params, root)}, chainOf(leaf, ca, root), []string{host}, now).Records[0]
				if got.Reason != tc.want || !strings.Contains(got.Detail, tc.detail) {
					t.Errorf("%s: want %s %q, got %v %q", params, tc.want, tc.detail, got.Reason, got.Detail)
				}
			}
		})
	}
}

// TestBareKeyPath checks that the path below a key that only the record has is checked too.
func TestBareKeyPath(t *testing.T) {
	root := issue(t, nil, "root", asCA())
	for _, tc := range []struct {
		reason   string
		ca, leaf func(*x509.Certificate)
		want     Reason
	}{
		{"good", asCA(), forHost(), ReasonMatched},
		{"expired CA", asCA(expired), forHost(), ReasonExpired},
		{"CA that is none", func(*x509.Certificate) {}, forHost(), ReasonChainInvalid},
		{"another name", asCA(), forHost(nameless), ReasonNameMismatch},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			ca := issue(t, root, "ca", tc.ca)
			leaf := issue(t, ca, "leaf", tc.leaf)
			got := Match([]Record{recordOf(t, "2 1 0", root)}, chainOf(leaf, ca), []string{host}, now).Records[0]
			if got.Reason != tc.want {
				t.Errorf("want %s, got %v", tc.want, got)
			}
		})
	}
	self := issue(t, nil, host, asCA(forHost()))
	got := Match([]Record{recordOf(t, "2 1 0", self)}, chainOf(self), []string{host}, now).Records[0]
	if got.Reason != ReasonTrustAnchorIsLeaf {
		t.Errorf("a leaf is no trust anchor for itself: got %v", got)
	}
}

// TestPathIsFound checks chains that lead to the trust anchor by one of several ways.
func TestPathIsFound(t *testing.T) {
	root, other := issue(t, nil, "root", asCA()), issue(t, nil, "other", asCA())
	key := newKey(t)
	byRoot, byOther := issueFor(t, key, root, "ca", asCA()), issueFor(t, key, other, "ca", asCA())
	gone := issueFor(t, key, root, "ca", asCA(expired))
	noCA := issueFor(t, key, root, "ca", nil)
	fake := issue(t, root, "ca", asCA())
	leaf := issue(t, byRoot, "leaf", forHost())
	for _, tc := range []struct {
		reason string
		anchor *node
		chain  []*x509.Certificate
		want   Reason
	}{
		{"cross-signed, first way", root, chainOf(leaf, byRoot, byOther, root), ReasonMatched},
		{"cross-signed, second way", other, chainOf(leaf, byRoot, byOther, root, other), ReasonMatched},
		{"an expired twin first", root, chainOf(leaf, gone, byRoot, root), ReasonMatched},
		{"only the expired twin", root, chainOf(leaf, gone, root), ReasonExpired},
		{"of two twins the one that came furthest is named", root, chainOf(leaf, noCA, gone, noCA, root), ReasonExpired},
		{"another key of the same name", root, chainOf(leaf, fake, root), ReasonChainInvalid},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			got := Match([]Record{recordOf(t, "2 0 1", tc.anchor)}, tc.chain, []string{host}, now).Records[0]
			if got.Reason != tc.want {
				t.Errorf("want %s, got %v", tc.want, got)
			}
		})
	}
}

// TestWorkIsBounded checks that a server cannot make us search for long: certificates of one name and one
// key are each other's issuer in every order.
func TestWorkIsBounded(t *testing.T) {
	key := newKey(t)
	self := issueFor(t, key, nil, "twin", asCA())
	var twins []*node
	for range 40 {
		twins = append(twins, issueFor(t, key, self, "twin", asCA()))
	}
	leaf := issue(t, self, "leaf", forHost())
	b := newBuilder(chainOf(append([]*node{leaf}, twins...)...), []string{host}, now)
	stranger := issue(t, nil, "stranger", asCA())
	s := &search{builder: b, issuers: b.chain[1:], left: maxSteps}
	c := newCandidate(recordOf(t, "2 0 1", stranger))
	s.record = &c
	if depth := s.climb(b.chain[:1]); depth != 0 || s.steps != maxSteps {
		t.Errorf("depth %d after %d steps", depth, s.steps)
	}
	if len(b.chain) != maxChain || len(b.signed) > maxChain*maxChain || len(b.signed) < maxChain {
		t.Errorf("%d certificates, %d signatures", len(b.chain), len(b.signed))
	}
}

// TestSignatureAlgorithms checks what kinds of signatures lead to a trust anchor. Go's Verify refuses the
// SHA-1 ones.
func TestSignatureAlgorithms(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey := newKey(t)
	for algorithm, key := range map[x509.SignatureAlgorithm]crypto.Signer{
		x509.SHA1WithRSA: rsaKey, x509.SHA256WithRSA: rsaKey, x509.SHA512WithRSAPSS: rsaKey,
		x509.ECDSAWithSHA1: ecKey, x509.ECDSAWithSHA384: ecKey, x509.PureEd25519: edKey,
	} {
		t.Run(algorithm.String(), func(t *testing.T) {
			ca, leaf := signedWith(t, algorithm, key)
			for _, params := range []string{"2 1 0", "2 0 1"} {
				record := recordOf(t, params, &node{Certificate: ca})
				if got := Match([]Record{record}, []*x509.Certificate{leaf, ca}, []string{host}, now); got.Verdict != Matched || got.Depth != 1 {
					t.Errorf("%s: %v", params, got)
				}
				broken := *leaf
				broken.Signature = append([]byte{}, leaf.Signature...)
				broken.Signature[len(broken.Signature)-1] ^= 1
				if got := Match([]Record{record}, []*x509.Certificate{&broken, ca}, []string{host}, now); got.Records[0].Reason != ReasonChainInvalid {
					t.Errorf("%s with a broken signature: %v", params, got)
				}
			}
		})
	}
}

// signedWith makes a CA and a leaf whose signature is of an algorithm.
func signedWith(t *testing.T, algorithm x509.SignatureAlgorithm, key crypto.Signer) (ca, leaf *x509.Certificate) {
	t.Helper()
	pub := key.Public()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: now, NotAfter: now}
	asCA()(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	template = &x509.Certificate{SerialNumber: big.NewInt(2), SignatureAlgorithm: algorithm, NotBefore: now, NotAfter: now}
	forHost()(template)
	if der, err = x509.CreateCertificate(rand.Reader, template, ca, &newKey(t).PublicKey, key); err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return ca, leaf
}

// TestIssuerNameEncoding checks that names are compared as words and not as bytes.
func TestIssuerNameEncoding(t *testing.T) {
	for _, tc := range []struct {
		reason      string
		sent, named string
		want        bool
	}{
		{"same", "CA", "CA", true},
		{"another case", "CA of Example", "ca OF example", true},
		{"another name", "CA", "CB", false},
	} {
		key := newKey(t)
		named := issueFor(t, key, nil, tc.named, asCA())
		sent := issueFor(t, key, nil, tc.sent, asCA())
		leaf := issue(t, named, "leaf", forHost())
		if got := Matches(recordOf(t, "2 0 1", sent), chainOf(leaf, sent), []string{host}, now); got != tc.want {
			t.Errorf("%s: want %v, got %v", tc.reason, tc.want, got)
		}
	}
}

// TestDetailIsShort checks that what a server puts into its certificate does not flood messages.
func TestDetailIsShort(t *testing.T) {
	ca := issue(t, nil, strings.Repeat("x", 5000)+"\n", asCA(expired))
	leaf := issue(t, ca, "leaf", forHost(func(c *x509.Certificate) {
		for i := range 100 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("host-%d.%s.example", i, strings.Repeat("y", 60)))
		}
	}))
	other := issue(t, nil, "other", asCA())
	below := issue(t, other, "leaf", func(c *x509.Certificate) { c.DNSNames = leaf.DNSNames })
	for _, r := range []Result{
		Match([]Record{recordOf(t, "2 0 1", ca)}, chainOf(leaf, ca), []string{host}, now),
		Match([]Record{recordOf(t, "2 0 1", other)}, chainOf(below, other), []string{"z"}, now),
	} {
		if text := r.String(); len(text) > 700 || strings.Contains(text, "\n") {
			t.Errorf("%d bytes: %s", len(text), text)
		}
	}
}

// TestSelfIssuedCAs checks that a CA certificate of its issuer's name does not count towards the length
// of a path, as at a CA's change of key.
func TestSelfIssuedCAs(t *testing.T) {
	root := issue(t, nil, "root", asCA(func(c *x509.Certificate) { c.MaxPathLen = 1 }))
	for reason, tc := range map[string]struct {
		between string
		want    Reason
	}{
		"of its issuer's name": {"ca", ReasonMatched}, "of another name": {"another", ReasonChainInvalid},
	} {
		ca := issue(t, root, "ca", asCA())
		between := issue(t, ca, tc.between, asCA())
		leaf := issue(t, between, "leaf", forHost())
		if got := Match([]Record{recordOf(t, "2 0 1", root)}, chainOf(leaf, between, ca, root), []string{host}, now).Records[0]; got.Reason != tc.want {
			t.Errorf("%s: want %s, got %v", reason, tc.want, got)
		}
	}
}

// TestIsCA checks what may stand above a leaf. Roots of version 1 have no extensions to say it with.
func TestIsCA(t *testing.T) {
	name := pkix.Name{CommonName: "root"}
	for reason, tc := range map[string]struct {
		certificate x509.Certificate
		want        bool
	}{
		"version 3 and CA":             {x509.Certificate{Version: 3, BasicConstraintsValid: true, IsCA: true}, true},
		"version 3 and no CA":          {x509.Certificate{Version: 3, BasicConstraintsValid: true}, false},
		"version 3 without a word":     {x509.Certificate{Version: 3, Subject: name, Issuer: name}, false},
		"version 1, of its own name":   {x509.Certificate{Version: 1, Subject: name, Issuer: name}, true},
		"version 1, of another's name": {x509.Certificate{Version: 1, RawSubject: []byte{1}, Subject: name}, false},
	} {
		if got := newBuilder(nil, nil, now).isCA(&tc.certificate); got != tc.want {
			t.Errorf("%s: got %v", reason, got)
		}
	}
}

// TestInDomain checks the subtrees of name constraints (RFC 5280 section 4.2.1.10).
func TestInDomain(t *testing.T) {
	for _, tc := range []struct {
		name, domain string
		want         bool
	}{
		{"a.example.com", "example.com", true},
		{"example.com", "Example.COM", true},
		{"badexample.com", "example.com", false},
		{"a.example.com", ".example.com", true},
		{"example.com", ".example.com", false},
		{"example.com", "", true},
		{"example.com", "a.example.com", false},
	} {
		if got := inDomain(tc.name, tc.domain); got != tc.want {
			t.Errorf("%s in %q: got %v", tc.name, tc.domain, got)
		}
	}
}
