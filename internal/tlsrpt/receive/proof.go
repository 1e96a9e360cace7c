package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/publicsuffix"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
)

// LookupTXT gives the TXT records at a name, one text for each.
type LookupTXT func(ctx context.Context, name string) ([]string, error)

// maxSignatures is how many signatures of a message are verified.
const maxSignatures = 5

// errUnproved is why a message proves nothing. errKeys is when that is not known, since a key could not be fetched.
var (
	errUnproved = errors.New("no DKIM signature counts")
	errKeys     = errors.New("a DKIM key could not be fetched")
)

// proof is the domain that a message was signed by, and that may speak for who sent it (RFC 8460, section 3): a valid
// signature without the tag l=, by the domain of From or one of the same organization, with a key that may sign TLS
// reports.
func proof(ctx context.Context, message []byte, lookup LookupTXT) (string, error) {
	from, err := fromDomain(message)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUnproved, err)
	}
	signatures, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		MaxVerifications: maxSignatures,
		LookupTXT: func(name string) ([]string, error) {
			records, err := lookup(ctx, name)
			return forReports(records), err
		},
	})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		return "", fmt.Errorf("%w: %s", errUnproved, tlsrpt.CleanText(err.Error()))
	}
	if len(signatures) == 0 {
		return "", fmt.Errorf("%w: there is none", errUnproved)
	}
	var why []string
	unknown := false
	for _, s := range signatures {
		domain := strings.ToLower(s.Domain)
		switch {
		case !sameOrganization(domain, from):
			why = append(why, fmt.Sprintf("%s does not speak for %s", domain, from))
		case s.Err == nil:
			return domain, nil
		default:
			unknown = unknown || dkim.IsTempFail(s.Err)
			why = append(why, domain+": "+s.Err.Error())
		}
	}
	if unknown {
		return "", fmt.Errorf("%w: %s", errKeys, tlsrpt.CleanText(strings.Join(why, "; ")))
	}
	return "", fmt.Errorf("%w: %s", errUnproved, tlsrpt.CleanText(strings.Join(why, "; ")))
}

// fromDomain is the domain of the one author that a message names.
func fromDomain(message []byte) (string, error) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return "", errors.New("the message has no header")
	}
	if len(m.Header["From"]) != 1 {
		return "", errors.New("the message has not one From")
	}
	list, err := mail.ParseAddressList(m.Header.Get("From"))
	if err != nil || len(list) != 1 {
		return "", errors.New("the message has not one author")
	}
	_, domain, _ := strings.Cut(list[0].Address, "@")
	return strings.ToLower(domain), nil
}

// sameOrganization says whether two domains are registered by the same: DMARC calls them aligned, relaxed.
func sameOrganization(a, b string) bool {
	if a == b {
		return true
	}
	x, err := publicsuffix.EffectiveTLDPlusOne(a)
	if err != nil {
		return false
	}
	y, err := publicsuffix.EffectiveTLDPlusOne(b)
	return err == nil && x == y
}

// forReports makes key records fit for a verifier that knows the service "email" alone: a key for "tlsrpt" counts as
// one for all, and a key for email alone as none (RFC 6376, section 3.6.1; RFC 8460, section 3).
func forReports(records []string) []string {
	out := slices.Clone(records)
	for i, record := range records {
		tags := strings.Split(record, ";")
		for j, tag := range tags {
			name, value, _ := strings.Cut(tag, "=")
			if strings.TrimSpace(name) != "s" {
				continue
			}
			services := strings.Split(value, ":")
			for k := range services {
				services[k] = strings.TrimSpace(services[k])
			}
			if slices.Contains(services, "tlsrpt") || slices.Contains(services, "*") {
				tags[j] = " s=*"
			} else {
				tags[j] = " s=none"
			}
		}
		out[i] = strings.Join(tags, ";")
	}
	return out
}
