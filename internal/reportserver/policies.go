package reportserver

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// Policies serves the policies of MTA-STS that MailDomains ask for (RFC 8461 section 3.3), at the one path that there is,
// for the policy host of each domain. All else is for Next.
type Policies struct {
	// Reader is a cache that IndexNames has prepared.
	Reader client.Reader
	Next   http.Handler
}

// ServeHTTP implements http.Handler.
func (p Policies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != mailrecord.PolicyPath {
		p.Next.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "a policy of MTA-STS is read: RFC 8461, section 3.3", http.StatusMethodNotAllowed)
		return
	}
	body := p.of(r.Context(), policyDomain(r.Host))
	if body == "" {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store") // section 3.3: HTTP caching is not used
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, body) // who has gone needs none
	}
}

// policyDomain is the domain whose policy host a request is for; empty when it is for none.
func policyDomain(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	domain, ok := strings.CutPrefix(host, mailrecord.MTASTSHost(""))
	if !ok {
		return ""
	}
	return domain
}

// of is the policy of a domain, by the MailDomain that has the say; empty without one.
func (p Policies) of(ctx context.Context, domain string) string {
	var list v1alpha1.MailDomainList
	if domain == "" || p.Reader.List(ctx, &list, client.MatchingFields{namesIndex: domain}, client.UnsafeDisableDeepCopy) != nil {
		return ""
	}
	var best *v1alpha1.MailDomain
	for i := range list.Items {
		md := &list.Items[i]
		if md.Spec.Domain == domain && policyOf(md) != nil && (best == nil || older(md, best)) {
			best = md
		}
	}
	if best == nil {
		return ""
	}
	return policyOf(best).Policy
}

// policyOf is the record with the policy that a MailDomain has served; nil without one. What the operator refuses it, for
// the domain is not its own, is not served either.
func policyOf(md *v1alpha1.MailDomain) *v1alpha1.MailRecordStatus {
	s := md.Status.Record(v1alpha1.RecordMTASTS)
	if s == nil || s.Policy == "" || s.State == v1alpha1.MailRecordRefused {
		return nil
	}
	return s
}

// older says which of two MailDomains has the say, as the operator does.
func older(a, b *v1alpha1.MailDomain) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}
