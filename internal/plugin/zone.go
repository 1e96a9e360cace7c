package plugin

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// zone is "kubectl dane zone".
func (k *kube) zone() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "zone NAME",
		Short: "Show what is wrong with a zone",
		Long: `zone shows a DNSZone, by its name or by that of the zone: its conditions, its name servers, its DNSSEC state and
delegation, and the findings, the worst first. kubectl dane explain CODE tells what to do about one.

The exit code is 0 if the zone is Ready and has no critical finding, and 2 if not.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: k.completeZones,
	}
	o := newOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dz, err := k.dnsZone(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if done, err := o.object(k.Out, dz); done || err != nil {
			return err
		}
		if err := writeZone(k.Out, dz, k.now()); err != nil {
			return err
		}
		if !statusview.Healthy(dz) {
			return verdict{exitFound}
		}
		return nil
	}
	return cmd
}

func writeZone(out io.Writer, dz *v1alpha1.DNSZone, now time.Time) error {
	fmt.Fprintf(out, "DNSZone %s/%s of %s, serial %d\n\n", dz.Namespace, dz.Name, dz.Spec.Zone, dz.Status.Serial)
	var rows [][]string
	for _, c := range dz.Status.Conditions {
		rows = append(rows, []string{c.Type, string(c.Status), c.Reason, c.Message})
	}
	if err := table(out, []string{"Condition", "Status", "Reason", "Message"}, rows); err != nil {
		return err
	}
	section(out, "DNSSEC: %s", orNone(string(dz.Status.DNSSEC.State)))
	if at := dz.Status.DNSSEC.SignaturesExpire; !at.IsZero() {
		fmt.Fprintf(out, "The first signature runs out %s (%s).\n", statusview.Until(at.Time, now), statusview.Stamp(at.Time))
	}
	for _, ds := range dz.Status.DNSSEC.DS {
		fmt.Fprintf(out, "DS %s\n", ds)
	}
	section(out, "Name servers")
	rows = nil
	for _, n := range dz.Status.Nameservers {
		rows = append(rows, []string{statusview.Joined(n.Name, n.Address), yesNo(n.Reachable, answers, silent), fmt.Sprint(n.Serial), n.Message})
	}
	if err := table(out, []string{"Address", "State", "Serial", "Message"}, rows); err != nil {
		return err
	}
	section(out, "Findings: %d", len(dz.Status.DNSSEC.Findings))
	rows = nil
	for _, f := range dz.Status.DNSSEC.Findings {
		rows = append(rows, []string{string(f.Severity), f.Code, f.Server, f.Message})
	}
	return table(out, []string{"Severity", "Code", "Server", "Message"}, rows)
}
