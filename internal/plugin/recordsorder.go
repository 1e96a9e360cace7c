package plugin

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailwish"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// This file has the MX records that "kubectl dane records" prints, in the order of the operator: a host is named in them once
// its TLSA records are known.

// exchangeSet are the MX records of the mail servers of the spec: they are the same whether the operator publishes them
// or not.
func exchangeSet(md *v1alpha1.MailDomain) recordSet {
	out := recordSet{Part: string(v1alpha1.RecordMX), Name: md.Spec.Domain + ".", TTL: recordTTL, Type: "MX"}
	for i := range md.Spec.MailServers {
		out.Data = append(out.Data, exchange(&md.Spec.MailServers[i]))
	}
	slices.Sort(out.Data)
	out.Replaces = without(standingExchanges(md), out.Data)
	return out
}

// addExchanges adds the MX records. Those of hosts whose TLSA records are not known are held back unless they stand: senders
// would find the host, and nothing to authenticate it by. While one is, no other goes: the new ones may be all that is left.
func (p *published) addExchanges(md *v1alpha1.MailDomain) {
	all := exchangeSet(md)
	found := mailplan.Hosts(standingExchanges(md))
	now, held := all, all
	now.Data, held.Data = nil, nil
	for i := range md.Spec.MailServers {
		server := &md.Spec.MailServers[i]
		why := noKeys(md, server)
		if why != "" {
			p.Missing = append(p.Missing, fmt.Sprintf("TLSA of %s: %s; %s says more", server.Hostname, why, statusCommand(md)))
		}
		if why != "" && !slices.Contains(found, server.Hostname) {
			held.Data = append(held.Data, exchange(server))
			continue
		}
		now.Data = append(now.Data, exchange(server))
	}
	slices.Sort(now.Data)
	slices.Sort(held.Data)
	if len(held.Data) > 0 {
		stays := mailplan.Hosts(now.Data)
		now.Replaces = slices.DeleteFunc(slices.Clone(all.Replaces), func(r string) bool { // a null MX names none, and suits no other record
			hosts := mailplan.Hosts([]string{r})
			return len(hosts) > 0 && !slices.Contains(stays, hosts[0])
		})
		held.Replaces, held.Held = without(all.Replaces, now.Replaces), true
		held.Message = "HELD BACK: the MX records below are commented out. The TLSA records of their hosts are not known yet, and come first: " +
			"what is missing stands at the end"
	}
	for _, set := range []recordSet{now, held} {
		if len(set.Data) > 0 {
			p.Records = append(p.Records, set)
		}
	}
}

// exchange is the MX record of a mail server.
func exchange(s *v1alpha1.MailServer) string {
	return fmt.Sprintf("%d %s.", mailwish.Preference(s), s.Hostname)
}

// standingExchanges are the MX records that the operator has seen in DNS.
func standingExchanges(md *v1alpha1.MailDomain) []string {
	if r := md.Status.Record(v1alpha1.RecordMX); r != nil {
		return r.Found
	}
	return nil
}

// noKeys says why the TLSA records of a mail server are not known; empty where they are, and where they are not the operator's.
func noKeys(md *v1alpha1.MailDomain, server *v1alpha1.MailServer) string {
	s := md.Status.MailServer(server.Hostname)
	if len(server.Certificates) == 0 || len(ownRecords(s)) > 0 {
		return ""
	}
	if s == nil && len(md.Status.Conditions) == 0 {
		return "the operator has not looked at the MailDomain yet"
	}
	why := "there are no keys in the status yet"
	if waits, _ := statusview.NextOf(md, server.Hostname); waits != "" {
		return why + " (" + waits + ")"
	}
	if ready := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Reason != v1alpha1.ReasonReady && ready.Message != "" {
		return why + " (" + ready.Message + ")"
	}
	return why
}

// ownRecords are the TLSA records of the keys of a mail server, but for those that have been taken out.
func ownRecords(s *v1alpha1.MailServerStatus) []string {
	if s == nil {
		return nil
	}
	var out []string
	for _, k := range s.Keys {
		if k.Visibility != v1alpha1.VisibilityUnretentive {
			out = append(out, k.Records...)
		}
	}
	return out
}

// statusCommand is what shows all that is known of a MailDomain, to be copied.
func statusCommand(md *v1alpha1.MailDomain) string {
	return fmt.Sprintf("kubectl dane status %s -n %s", md.Name, md.Namespace)
}

// judge is the exit code: whether everything that the spec asks for was printed.
func (p published) judge() error {
	if len(p.Missing) > 0 || slices.ContainsFunc(p.Records, func(set recordSet) bool { return set.Held }) {
		return verdict{exitFound}
	}
	return nil
}
