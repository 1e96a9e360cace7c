// Package reportserver is the program that takes TLS reports in (RFC 8460): it knows from the MailDomains of the
// cluster whose reports are wanted, listens for them, counts what they say, tells it in the status of the MailDomains,
// and forgets them when they are old. It serves their policies of MTA-STS beside that (RFC 8461). It reads MailDomains and
// nothing else, and writes status.tlsReports alone.
package reportserver

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsrpt"
)

// namesIndex finds the MailDomains that a name belongs to: as their domain, or as one of their mail servers.
const namesIndex = "tlsreports.names"

// Names says which names are ours.
type Names struct {
	// Reader is a cache that IndexNames has prepared.
	Reader client.Reader
}

// IndexNames makes a cache find MailDomains by their names. It is called before the cache starts.
func IndexNames(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &v1alpha1.MailDomain{}, namesIndex, func(o client.Object) []string {
		md := o.(*v1alpha1.MailDomain)
		if !wanted(md) {
			return nil
		}
		names := []string{md.Spec.Domain}
		for _, s := range md.Spec.MailServers {
			names = append(names, s.Hostname)
		}
		return names
	})
	if err != nil {
		return fmt.Errorf("index MailDomains by their names: %w", err)
	}
	return nil
}

// wanted says whether reports of a MailDomain are taken in.
func wanted(md *v1alpha1.MailDomain) bool {
	reporting := md.Spec.TLSReporting
	return reporting == nil || reporting.Ingest != v1alpha1.IngestDisabled
}

// Subject is the name of ours that a policy of a report is about; empty when it is about none. Most senders name the
// domain of the recipients, some the mail host, and some name nothing and tell the host beside it. What a report says
// of somebody else's domain is not taken, even where that domain uses a mail host of ours.
func (n Names) Subject(p tlsrpt.Policy) string {
	candidates := []string{p.Domain}
	if p.Domain == "" {
		candidates = p.MXHosts
		for _, f := range p.Failures {
			candidates = append(candidates, f.ReceivingMX)
		}
	}
	for _, name := range candidates[:min(len(candidates), maxCandidates)] {
		if name != "" && n.ours(name) {
			return name
		}
	}
	return ""
}

// maxCandidates bounds the names that one policy has looked up.
const maxCandidates = 32

func (n Names) ours(name string) bool {
	var list v1alpha1.MailDomainList
	err := n.Reader.List(context.Background(), &list, client.MatchingFields{namesIndex: name}, client.Limit(1), client.UnsafeDisableDeepCopy)
	// The cache is in memory and filled before anything is listened for: it does not fail.
	return err == nil && len(list.Items) > 0
}

// NamesOnly leaves of a MailDomain what is needed to know its names, and its policy of MTA-STS, and a digest of what was
// told of it, which would be most of what the cache holds: it is for the cache.
func NamesOnly(o any) (any, error) {
	md, ok := o.(*v1alpha1.MailDomain)
	if !ok {
		return o, nil
	}
	slim := &v1alpha1.MailDomain{TypeMeta: md.TypeMeta}
	slim.Name, slim.Namespace, slim.UID, slim.ResourceVersion = md.Name, md.Namespace, md.UID, md.ResourceVersion
	slim.CreationTimestamp = md.CreationTimestamp
	slim.Generation, slim.Annotations = md.Generation, map[string]string{toldAnnotation: digestOf(md.Status.TLSReports)}
	slim.Spec.Domain = md.Spec.Domain
	if !wanted(md) {
		slim.Spec.TLSReporting = &v1alpha1.TLSReportingSpec{Ingest: v1alpha1.IngestDisabled}
	}
	if s := policyOf(md); s != nil {
		slim.Status.Records = []v1alpha1.MailRecordStatus{{Record: s.Record, State: s.State, Policy: s.Policy}}
	}
	for _, s := range md.Spec.MailServers {
		slim.Spec.MailServers = append(slim.Spec.MailServers, v1alpha1.MailServer{Hostname: s.Hostname})
	}
	return slim, nil
}
