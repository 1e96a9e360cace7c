package sendercheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/probe"
)

const (
	fetchRule = "RFC 8461 section 3.3"
	// fetchTime is how long a fetch takes at most; the RFC suggests a minute.
	fetchTime = time.Minute
	// dialTime is how long one address is tried, and maxPolicyAddresses how many are.
	dialTime           = 10 * time.Second
	maxPolicyAddresses = 4
	httpsPort          = 443
)

// PolicyFetcher fetches policies of MTA-STS as a sender does (RFC 8461 section 3.3): from the policy host alone, with a
// certificate that proves its name, and following nowhere.
type PolicyFetcher struct {
	// Resolver finds the addresses of the policy host.
	Resolver senderview.Resolver
	// Allowed are networks that are connected to beside public addresses. Whoever has the domain that is looked at decides
	// where the policy host is.
	Allowed []netip.Prefix
	// Dial opens a connection to an address. Default: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots judge the certificate. Default: those of the system.
	Roots *x509.CertPool
	Now   func() time.Time
}

func policyURL(domain string) string {
	return "https://" + mailrecord.MTASTSHost(domain) + mailrecord.PolicyPath
}

// Fetch gives the body of the policy of a domain. Where that cannot be had there is a fatal problem.
func (f PolicyFetcher) Fetch(ctx context.Context, domain string) (string, mailrecord.Problems) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	addrs, problem := f.addresses(ctx, mailrecord.MTASTSHost(domain))
	if problem != nil {
		return "", mailrecord.Problems{*problem}
	}
	transport := f.transport(addrs)
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, policyURL(domain), nil)
	if err != nil {
		return "", fatal(mailrecord.BadAnswer, shown(mailrecord.MTASTSHost(domain))+" is no name to fetch from: "+shown(err.Error()), "see that the domain is a name of a host")
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return "", mailrecord.Problems{notFetched(mailrecord.MTASTSHost(domain), err)}
	}
	defer response.Body.Close() //nolint:errcheck // nothing is lost
	return read(mailrecord.MTASTSHost(domain), response)
}

// addresses are those of the policy host that may be connected to.
func (f PolicyFetcher) addresses(ctx context.Context, host string) ([]netip.Addr, *mailrecord.Problem) {
	found := senderview.Addresses(ctx, f.Resolver, host)
	var out []netip.Addr
	refused := ""
	for _, addr := range found {
		if probe.MayDial(addr, f.Allowed) {
			out = append(out, addr)
		} else {
			refused = addr.String()
		}
	}
	switch {
	case len(out) > 0:
		return out[:min(len(out), maxPolicyAddresses)], nil
	case refused != "":
		return nil, &fatal(mailrecord.Unreachable, fmt.Sprintf("%s has the address %s, which is not a public one, and nothing was sent there", host, refused),
			"publish a public address; where that one is meant, name its network in --allow-cidr")[0]
	}
	answer, _ := lookups{f.Resolver}.ask(ctx, host, mailrecord.TypeA)
	if answer.Cause != "" {
		return nil, &fatal(mailrecord.LookupFailed, fmt.Sprintf("the lookup of %s fails (%s)", host, answer.Cause),
			"see that every name server of that zone answers it, or, where only some resolvers know that zone, name one of them in --resolvers")[0]
	}
	return nil, &fatal(mailrecord.Unreachable, host+" has no address, and senders go on as without a policy", "publish A or AAAA records of it, and serve the policy there")[0]
}

// transport connects to these addresses and to nothing else: there is no second lookup, and no proxy.
func (f PolicyFetcher) transport(addrs []netip.Addr) *http.Transport {
	dial := f.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var failed error
			for _, addr := range addrs {
				attempt, cancel := context.WithTimeout(ctx, dialTime)
				conn, err := dial(attempt, network, netip.AddrPortFrom(addr, httpsPort).String())
				cancel()
				if err == nil {
					return conn, nil
				}
				failed = errors.Join(failed, err)
			}
			return nil, failed
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.Roots, Time: f.Now},
		DisableKeepAlives:      true,
		DisableCompression:     true, // a small answer may become a large one
		MaxResponseHeaderBytes: mailrecord.MaxPolicySize,
	}
}

// read takes the answer of a policy host as senders do.
func read(host string, response *http.Response) (string, mailrecord.Problems) {
	switch code := response.StatusCode; {
	case code >= 300 && code < 400:
		return "", fatal(mailrecord.Redirected, fmt.Sprintf("%s answers with a redirect (%d), which senders do not follow", host, code), "serve the policy at that URL itself")
	case code != http.StatusOK:
		return "", fatal(mailrecord.BadAnswer, fmt.Sprintf("%s answers with status %d", host, code), "serve the policy at "+shown(response.Request.URL.String())+" with status 200")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mailrecord.MaxPolicySize+1))
	if err != nil {
		return "", fatal(mailrecord.BadAnswer, "the answer of "+host+" ends early: "+shown(err.Error()), "see what the web server tells of it")
	}
	media, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err == nil && media == "text/plain" {
		return string(body), nil
	}
	p := fatal(mailrecord.BadAnswer, fmt.Sprintf("%s gives the media type %q, and careful senders take text/plain alone", host, shown(response.Header.Get("Content-Type"))), "have the web server say Content-Type: text/plain")
	p[0].Severity, p[0].Rule = mailrecord.Wrong, "RFC 8461 section 3.2"
	return string(body), p
}

// notFetched says why there was no answer.
func notFetched(host string, err error) mailrecord.Problem {
	var about *url.Error
	if errors.As(err, &about) {
		err = about.Err
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return fatal(mailrecord.BadCertificate, fmt.Sprintf("the certificate of %s is not accepted: %s", host, shown(certificate.Err.Error())),
			"install one for that name that a public CA vouches for; DANE does not count here")[0]
	}
	return fatal(mailrecord.Unreachable, fmt.Sprintf("%s cannot be reached over HTTPS: %s", host, shown(err.Error())), "see that it serves the policy at port 443, or try from elsewhere")[0]
}

func fatal(code mailrecord.Code, message, advice string) mailrecord.Problems {
	return mailrecord.Problems{{Record: mailrecord.KindPolicy, Code: code, Severity: mailrecord.Fatal, Rule: fetchRule, Message: message, Advice: advice}}
}
