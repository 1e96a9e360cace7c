package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/plugin"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// This file shows the mail domain beside its TLSA records.

// others are the records that the demo publishes. That of MTA-STS waits for a policy host.
var others = []v1alpha1.MailRecord{v1alpha1.RecordMX, v1alpha1.RecordTLSRPT, v1alpha1.RecordSPF, v1alpha1.RecordDMARC}

// whole waits for the other records, and looks at all of the domain as anybody can.
func (s *stage) whole(ctx context.Context) error {
	s.view.log("waiting for the other records of the domain: MX, TLS-RPT, SPF, DMARC and DKIM")
	md, err := s.lab.WaitDomain(ctx, domainName, 3*time.Minute, unpublished)
	if err != nil {
		return err
	}
	for i := range md.Status.Records {
		r := &md.Status.Records[i]
		if slices.Contains(others, r.Record) {
			s.view.log("%s at %s: %s", r.Record, r.Name, strings.Join(r.Found, ", "))
		}
	}
	selectors := statusview.PublishedSelectors(md)
	s.view.log("DKIM key %s can be signed with: every cache knows its record", strings.Join(selectors, ", "))
	return s.check(ctx, selectors)
}

// unpublished returns which record is missing.
func unpublished(md *v1alpha1.MailDomain) string {
	for _, record := range others {
		if r := md.Status.Record(record); r == nil || r.State != v1alpha1.MailRecordPublished {
			return fmt.Sprintf("%s is not published: %+v", record, r)
		}
	}
	if k := md.Status.DKIMKey(dkimName); k == nil || k.State != v1alpha1.DKIMInUse {
		return fmt.Sprintf("the DKIM key is not in use: %+v", k)
	}
	return ""
}

// othersLine are the states of the other records.
func othersLine(md *v1alpha1.MailDomain) string {
	if md == nil || len(md.Status.Records) == 0 {
		return "none yet"
	}
	var out []string
	for _, r := range md.Status.Records {
		out = append(out, fmt.Sprintf("%s %s", r.Record, r.State))
	}
	for _, k := range md.Status.DKIM {
		out = append(out, fmt.Sprintf("DKIM %s %s", k.Name, k.State))
	}
	return strings.Join(out, ", ")
}

// anchors is the file with the trust anchor of the zone, in the folder of the demo.
func anchors(dir string) string { return filepath.Join(dir, "anchors.ds") }

// check runs "kubectl dane check", which asks neither the cluster nor the operator, and shows its grades. The zone is
// nowhere but here: its trust anchor and its primary take the place of those of the Internet.
func (s *stage) check(ctx context.Context, selectors []string) error {
	file := anchors(s.lab.Dir)
	if err := os.WriteFile(file, []byte(zoneName+". IN DS "+s.values["DS"]+"\n"), 0o600); err != nil {
		return err
	}
	var out, said bytes.Buffer
	cmd := plugin.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &said}, time.Now)
	cmd.SetArgs([]string{"check", zoneName, "--resolvers", s.values["PRIMARY"], "--trust-anchors", file, "--port", s.values["SMTP_PORT"], "-o", "json", "--dkim-selector", strings.Join(selectors, ",")})
	err := cmd.ExecuteContext(ctx)
	var found sendercheck.Report
	if jsonErr := json.Unmarshal(out.Bytes(), &found); jsonErr != nil || plugin.ExitCode(err) != 0 {
		return fmt.Errorf("kubectl dane check %s: exit code %d, %w: %s%s", zoneName, plugin.ExitCode(err), err, &out, &said)
	}
	var text strings.Builder
	for _, p := range found.Parts {
		text.WriteString("\n" + strings.TrimSuffix(s.view.row(fmt.Sprintf("        %-8s %-10s ", p.Part, p.Grade), p.Advice), "\n"))
	}
	s.view.log("kubectl dane check %s: %s%s", zoneName, found.Verdict, &text)
	return nil
}
