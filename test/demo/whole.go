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

// others waits for the other records of the domain. That of MTA-STS is among them where the policy is served.
func (s *stage) others(ctx context.Context) error {
	s.view.log("waiting for the other records of the domain: MX, TLS-RPT, MTA-STS, SPF, DMARC and DKIM")
	records := []v1alpha1.MailRecord{v1alpha1.RecordMX, v1alpha1.RecordTLSRPT, v1alpha1.RecordSPF, v1alpha1.RecordDMARC}
	if s.unserved == "" {
		records = append(records, v1alpha1.RecordMTASTS)
	}
	md, err := s.published(ctx, records...)
	if err != nil {
		return err
	}
	s.view.log("DKIM key %s can be signed with: every cache knows its record", strings.Join(statusview.PublishedSelectors(md), ", "))
	return nil
}

// whole looks at all of the domain as anybody can, in the end.
func (s *stage) whole(ctx context.Context) error {
	s.begin("5. the whole domain: MTA-STS is enforced, and all is graded as senders and receivers see it")
	md, err := s.lab.Domain(ctx, domainName)
	if err != nil {
		return err
	}
	if s.unserved == "" {
		if md, err = s.enforce(ctx, md.Status.Record(v1alpha1.RecordMTASTS).Found); err != nil {
			return err
		}
	}
	return s.check(ctx, statusview.PublishedSelectors(md))
}

// enforce changes the policy of MTA-STS, and waits until its record is another one than before.
func (s *stage) enforce(ctx context.Context, before []string) (*v1alpha1.MailDomain, error) {
	if err := s.change(ctx, "MTA_STS", string(v1alpha1.MTASTSEnforce), "mtaSTS: {mode: Enforce}; the policy changes first, and then the id in its record"); err != nil {
		return nil, err
	}
	if _, err := s.lab.WaitDomain(ctx, domainName, 3*time.Minute, func(md *v1alpha1.MailDomain) string {
		if slices.Equal(md.Status.Record(v1alpha1.RecordMTASTS).Found, before) {
			return "the record of MTA-STS has the id of the policy before"
		}
		return ""
	}); err != nil {
		return nil, err
	}
	return s.published(ctx, v1alpha1.RecordMTASTS)
}

// published waits until records are published, and the DKIM key is in use, and shows the records.
func (s *stage) published(ctx context.Context, records ...v1alpha1.MailRecord) (*v1alpha1.MailDomain, error) {
	md, err := s.lab.WaitDomain(ctx, domainName, 3*time.Minute, func(md *v1alpha1.MailDomain) string { return unpublished(md, records) })
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		r := md.Status.Record(record)
		s.view.log("%s at %s: %s", r.Record, r.Name, strings.Join(r.Found, ", "))
	}
	return md, nil
}

// unpublished returns which record is missing.
func unpublished(md *v1alpha1.MailDomain, records []v1alpha1.MailRecord) string {
	for _, record := range records {
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

// check runs "kubectl dane check", which asks neither the cluster nor the operator, and shows its grades. The zone is
// nowhere but here: its trust anchor, a resolver that knows it, and what is trusted at the policy host take the place of
// those of the Internet.
func (s *stage) check(ctx context.Context, selectors []string) error {
	if err := os.WriteFile(s.anchors(), []byte(zoneName+". IN DS "+s.values["DS"]+"\n"), 0o600); err != nil {
		return err
	}
	if s.unserved == "" {
		if err := os.Setenv("SSL_CERT_FILE", s.trusted()); err != nil {
			return err
		}
	}
	var out, said bytes.Buffer
	cmd := plugin.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &said}, time.Now)
	cmd.SetArgs(append(s.checkArgs(), "-o", "json", "--dkim-selector", strings.Join(selectors, ",")))
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

// anchors is the file with the zone's trust anchor.
func (s *stage) anchors() string { return filepath.Join(s.folder, "anchors.ds") }

// checkArgs are the command and the flags that a check takes here and nowhere else.
func (s *stage) checkArgs() []string {
	return []string{
		"check", zoneName, "--resolvers", s.resolver.Addr, "--trust-anchors", s.anchors(), "--port", s.values["SMTP_PORT"],
		"--allow-cidr", policyAddress + "/32",
	}
}

// checkLine is the check as somebody types it.
func (s *stage) checkLine() string {
	line := "kubectl dane " + strings.Join(append(s.checkArgs(), "-n", namespace), " ")
	if s.unserved == "" {
		line = "SSL_CERT_FILE=" + s.trusted() + " " + line
	}
	return line
}
