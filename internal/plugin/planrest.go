package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailplan"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/mailwish"
)

// This file plans what a MailDomain asks for beside TLSA records.

// writeRest writes the records beside TLSA that a spec asks for, beside those that stand there as far as status knows, and
// which keys are made for DKIM. Where it asks for none there is nothing to write.
func writeRest(out io.Writer, md *v1alpha1.MailDomain) {
	var hosts []string
	for i := range md.Spec.MailServers {
		hosts = append(hosts, md.Spec.MailServers[i].Hostname)
	}
	first := true
	for _, record := range mailplan.Records {
		if !mailwish.Asked(&md.Spec, record) {
			continue
		}
		if first {
			section(out, "%s", "The other records")
			first = false
		}
		wish := mailwish.Of(&md.Spec, record, hosts, nil)
		if record == mailplan.MX {
			wish.Data = exchangeSet(md).Data
		}
		writeWish(out, md, record, wish)
	}
	writeKeyPlan(out, md)
}

// writeWish writes one of them. Records that are not ours stay, and are a conflict, unless they are adopted: who wrote them is
// known when the operator has looked.
func writeWish(out io.Writer, md *v1alpha1.MailDomain, record mailplan.Record, wish mailplan.Wish) {
	name := record.Name(md.Spec.Domain)
	fmt.Fprintf(out, "%s %s %s\n", record, name+".", record.Type())
	if wish.Invalid != "" {
		fmt.Fprintf(out, "  %s: %s\n", paint(out, bad, "it is not published"), wish.Invalid)
		return
	}
	var have, own []string
	if now := md.Status.RecordAt(v1alpha1.MailRecord(record), name); now != nil {
		have, own = now.Found, now.Own
	}
	for _, data := range wish.Data {
		fmt.Fprintf(out, "  %s %s\n", yesNo(slices.Contains(have, data), " ", paint(out, good, "+")), data)
	}
	for _, data := range without(have, wish.Data) {
		if slices.Contains(own, data) || mailwish.Adopts(&md.Spec, record) {
			fmt.Fprintf(out, "  %s %s\n", paint(out, bad, "-"), data)
		} else {
			fmt.Fprintf(out, "    %s (foreign: it stays, and nothing is written, unless adopt is true)\n", data)
		}
	}
	if wish.Policy != "" {
		fmt.Fprintf(out, "  written once https://%s%s serves:\n", mailrecord.MTASTSHost(md.Spec.Domain), mailrecord.PolicyPath)
		for line := range strings.Lines(wish.Policy) {
			fmt.Fprintf(out, "    %s\n", strings.TrimRight(line, "\r\n"))
		}
	}
}
