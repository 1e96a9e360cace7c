package plugin

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/glossary"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// status is "kubectl dane status".
func (k *kube) status() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "status [DOMAIN]",
		Short: "Show mail domains, or the rollover of one",
		Long: `status lists the MailDomains of a namespace. With the name of one, or the domain that it is of, it shows each of
its mail servers: the keys and what caches know of them, what happened and what comes next, and what the name
servers and the mail servers showed; and below that the DKIM keys.

The exit code is 0 if all that was shown is safe and Ready, and 2 if something is not.`,
		Example: `  # every mail domain of the cluster
  kubectl dane status -A

  # what the rollover of one waits for
  kubectl dane status example.com`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: k.completeDomains,
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "look into all namespaces")
	o := newOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return k.listDomains(cmd, o, all)
		}
		find := k.mailDomainHere
		if all {
			find = k.mailDomainAnywhere
		}
		md, err := find(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if done, err := o.object(k.Out, md); done || err != nil {
			return err
		}
		if err := writeDomain(k.Out, md, k.now()); err != nil {
			return err
		}
		return judge([]v1alpha1.MailDomain{*md})
	}
	return cmd
}

func (k *kube) listDomains(cmd *cobra.Command, o output, all bool) error {
	c, err := k.client()
	if err != nil {
		return err
	}
	var in []client.ListOption
	where := "in any namespace"
	if !all {
		namespace, err := k.namespace()
		if err != nil {
			return err
		}
		in = append(in, client.InNamespace(namespace))
		where = "in namespace " + namespace + "; -A looks into all"
	}
	var list v1alpha1.MailDomainList
	if err := c.List(cmd.Context(), &list, in...); err != nil {
		return err
	}
	if done, err := o.object(k.Out, &list); done || err != nil {
		return err
	}
	if len(list.Items) == 0 {
		fmt.Fprintln(k.ErrOut, "No MailDomains found "+where+".")
		return nil
	}
	if err := writeDomains(k.Out, list.Items, all, k.now()); err != nil {
		return err
	}
	return judge(list.Items)
}

// judge is the exit code for what was shown.
func judge(list []v1alpha1.MailDomain) error {
	for i := range list {
		conditions := list[i].Status.Conditions
		if !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) || !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionRolloverSafe) {
			return verdict{exitFound}
		}
	}
	return nil
}

// writeDomains writes a line for each mail server.
func writeDomains(out io.Writer, list []v1alpha1.MailDomain, namespaces bool, now time.Time) error {
	headings := []string{"Name", "Host", "Ready", "Safe", "Phase", "Senders", "Waiting For", "Until"}
	if namespaces {
		headings = append([]string{"Namespace"}, headings...)
	}
	var rows [][]string
	for i := range list {
		md := &list[i]
		for j := range md.Spec.MailServers {
			host := md.Spec.MailServers[j].Hostname
			waits, next := statusview.NextOf(md, host)
			at := ""
			if !next.IsZero() {
				at = statusview.Until(next, now)
			}
			row := []string{
				md.Name, host, statusview.ConditionWord(md, v1alpha1.ConditionReady), statusview.ConditionWord(md, v1alpha1.ConditionRolloverSafe),
				statusview.ReasonOf(md, v1alpha1.ConditionRolloverInProgress), statusview.Senders(md.Status.MailServer(host)), waits, at,
			}
			if namespaces {
				row = append([]string{md.Namespace}, row...)
			}
			rows = append(rows, row)
		}
	}
	return table(out, headings, rows)
}

// writeDomain writes all that is known of one mail domain.
func writeDomain(out io.Writer, md *v1alpha1.MailDomain, now time.Time) error {
	fmt.Fprintf(out, "MailDomain %s/%s of %s, strategy %s\n\n", md.Namespace, md.Name, md.Spec.Domain, md.Spec.Rollover.Strategy)
	var rows [][]string
	for _, c := range md.Status.Conditions {
		rows = append(rows, []string{c.Type, string(c.Status), c.Reason, c.Message})
	}
	if err := table(out, []string{"Condition", "Status", "Reason", "Message"}, rows); err != nil {
		return err
	}
	told := map[v1alpha1.Visibility]bool{}
	for i := range md.Status.MailServers {
		if err := writeServer(out, md, &md.Status.MailServers[i], told, now); err != nil {
			return err
		}
	}
	return writeSigningKeys(out, md, now)
}

// writeSigningKeys writes what is known of the keys that mail is signed with.
func writeSigningKeys(out io.Writer, md *v1alpha1.MailDomain, now time.Time) error {
	keys := statusview.SigningKeys(md)
	if len(keys) == 0 {
		return nil
	}
	section(out, "DKIM of %s", md.Spec.Domain)
	var rows [][]string
	for _, k := range keys {
		until := ""
		if !k.Until.IsZero() {
			until = statusview.Until(k.Until, now)
		}
		rows = append(rows, []string{k.Name, k.Selector, k.Next, k.Phase, k.Waits, until})
	}
	return table(out, []string{"Key", "Selector", "Next", "Phase", "Waiting For", "Until"}, rows)
}

// writeServer writes what is known of one mail server. What caches know is put into words once: told are those that were.
func writeServer(out io.Writer, md *v1alpha1.MailDomain, s *v1alpha1.MailServerStatus, told map[v1alpha1.Visibility]bool, now time.Time) error {
	section(out, "%s", s.Hostname)
	if s.SenderView != nil {
		senders := statusview.Senders(s)
		fmt.Fprintf(out, "Senders: %s. %s\n", paint(out, toneOf("Senders", nil, senders), senders), statusview.SendersMessage(s))
	}
	var keys [][]string
	for _, k := range s.Keys {
		keys = append(keys, []string{statusview.Short(k.SPKISHA256), k.Certificate, string(k.Role), string(k.Visibility), timeText(k.NotAfter)})
	}
	if err := table(out, []string{"Key", "Certificate", "Role", "Caches", "Expires"}, keys); err != nil {
		return err
	}
	for _, w := range statusview.Visibilities(s) {
		if !told[w] {
			fmt.Fprintf(out, "%s: %s\n", w, glossary.Line(string(w)))
		}
		told[w] = true
	}
	fmt.Fprintln(out)
	if err := writeTimeline(out, statusview.Timeline(md, s), now); err != nil {
		return err
	}
	writeBars(out, statusview.Waits(s, now), now)
	fmt.Fprintln(out)
	return writeEvidence(out, s)
}

// writeEvidence writes what name servers and mail servers showed.
func writeEvidence(out io.Writer, s *v1alpha1.MailServerStatus) error {
	var rows [][]string
	for _, n := range s.Nameservers {
		rows = append(rows, []string{"name server", statusview.Joined(n.Name, n.Address), yesNo(n.InSync, inSync, outOfSync), n.Message})
	}
	for _, e := range s.Endpoints {
		rows = append(rows, []string{"endpoint", statusview.EndpointPlace(e), statusview.EndpointState(e), e.Message})
	}
	if len(rows) == 0 {
		return nil
	}
	return table(out, []string{"Evidence", "Address", "State", "Message"}, rows)
}

func yesNo(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func timeText(at *metav1.Time) string {
	if at.IsZero() {
		return ""
	}
	return statusview.Stamp(at.Time)
}
