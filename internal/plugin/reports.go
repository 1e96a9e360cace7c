package plugin

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// reports is "kubectl dane reports".
func (k *kube) reports() *cobra.Command {
	var seen bool
	cmd := &cobra.Command{
		Use:   "reports DOMAIN",
		Short: "Show what senders have reported of a mail domain",
		Long: `reports shows what the TLS reports (RFC 8460) of the last seven days say of a MailDomain: how many sessions failed and
how, with which mail server, and who reported it. Failures of DANE that a signature proves stand below with their time, and
with what the operator saw then. While such reports come, records that could be taken out of DNS stay for a while; with
--seen you say that you have looked into those that are there: they hold nothing any more, and raise no alert.

The exit code is 0 if no failure of DANE is reported that is proved and that nobody has looked into, and 2 if one is.`,
		Example: `  # what senders say
  kubectl dane reports example.com

  # the cause is found and mended
  kubectl dane reports example.com --seen`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: k.completeDomains,
	}
	cmd.Flags().BoolVar(&seen, "seen", false, "say that you have looked into the reports that are there")
	o := newOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, md, err := k.mailDomain(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if seen {
			return k.putAside(cmd, c, md)
		}
		if done, err := o.object(k.Out, md); done || err != nil {
			return err
		}
		if err := writeReports(k.Out, md, k.now()); err != nil {
			return err
		}
		if meta.IsStatusConditionTrue(md.Status.Conditions, v1alpha1.ConditionSendersReportFailures) {
			return verdict{2}
		}
		return nil
	}
	return cmd
}

// putAside notes that a person has looked into the reports that have come by now.
func (k *kube) putAside(cmd *cobra.Command, c client.Client, md *v1alpha1.MailDomain) error {
	base := md.DeepCopy()
	if md.Annotations == nil {
		md.Annotations = map[string]string{}
	}
	md.Annotations[v1alpha1.ReportsSeenAnnotation] = k.now().UTC().Format(time.RFC3339)
	if err := c.Patch(cmd.Context(), md, client.MergeFrom(base)); err != nil {
		return err
	}
	fmt.Fprintf(k.Out, "What was reported of %s/%s up to now holds no records any more.\n", md.Namespace, md.Name)
	return nil
}

// writeReports writes what senders have reported.
func writeReports(out io.Writer, md *v1alpha1.MailDomain, now time.Time) error {
	fmt.Fprintf(out, "MailDomain %s/%s of %s, TLS reports of the last seven days\n\n", md.Namespace, md.Name, md.Spec.Domain)
	r := md.Status.TLSReports
	if r == nil {
		fmt.Fprintln(out, "There are none: nothing takes them in (docs/tls-reports.md), or no sender has sent one yet.")
		return nil
	}
	when := ""
	if r.LastReport != nil {
		when = statusview.Until(r.LastReport.Time, now)
	}
	err := table(out, []string{"Reports", "Successful", "Failed", "Last Report", "When"}, [][]string{{
		number(r.Reports), number(r.SuccessfulSessions), number(r.FailedSessions), timeText(r.LastReport), when,
	}})
	for _, write := range []func(io.Writer, *v1alpha1.MailDomain) error{writeResults, writeHosts, writeOrganizations, writeFailures} {
		if err == nil {
			err = write(out, md)
		}
	}
	return err
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// part writes a table after an empty line, where it has rows.
func part(out io.Writer, headings []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	return table(out, headings, rows)
}

func writeResults(out io.Writer, md *v1alpha1.MailDomain) error {
	var rows [][]string
	for _, r := range md.Status.TLSReports.Results {
		rows = append(rows, []string{r.Result, r.Policy, number(r.Sessions), number(r.ProvedSessions)})
	}
	return part(out, []string{"Failed As", "Policy", "Sessions", "Proved"}, rows)
}

func writeHosts(out io.Writer, md *v1alpha1.MailDomain) error {
	var rows [][]string
	for _, h := range md.Status.TLSReports.Hosts {
		held := ""
		if s := md.Status.MailServer(h.Hostname); s != nil {
			for _, k := range s.Keys {
				if k.HeldUntil != nil {
					held = timeText(k.HeldUntil)
				}
			}
		}
		rows = append(rows, []string{cmp.Or(h.Hostname, "(others)"), number(h.FailedSessions), timeText(h.LastDANEFailure), held})
	}
	return part(out, []string{"Host", "Failed", "Last Proof", "Records Held Until"}, rows)
}

func writeOrganizations(out io.Writer, md *v1alpha1.MailDomain) error {
	var rows [][]string
	for _, o := range md.Status.TLSReports.Organizations {
		rows = append(rows, []string{cmp.Or(o.Name, "(others)"), o.Domain, number(o.SuccessfulSessions), number(o.FailedSessions)})
	}
	return part(out, []string{"Organization", "Proved By", "Successful", "Failed"}, rows)
}

// writeFailures writes failures of DANE that are proved, and what the operator saw then.
func writeFailures(out io.Writer, md *v1alpha1.MailDomain) error {
	var rows [][]string
	for _, f := range md.Status.TLSReports.Failures {
		rows = append(rows, []string{f.Domain, f.Hostname, f.Result, number(f.Sessions), timeText(&f.From), timeText(&f.To)})
	}
	if err := part(out, []string{"Failure Of DANE, Proved By", "Host", "Failed As", "Sessions", "From", "To"}, rows); err != nil {
		return err
	}
	if c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionSendersReportFailures); c != nil && c.Message != "" {
		fmt.Fprintf(out, "\n%s\n", c.Message)
	}
	return nil
}
