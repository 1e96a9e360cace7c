package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/resolve"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

// Exit codes of check.
const (
	exitUnprotected   = 2
	exitUndeliverable = 3
)

type checkOptions struct {
	resolvers    []string
	trustAnchors string
	noConnect    bool
	helo         string
	port         uint16
	format       string
}

// check is "kubectl dane check".
func (k *kube) check() *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use:   "check DOMAIN",
		Short: "Look at a mail domain as a sender with DANE does",
		Long: `check does what a sender with DANE does before it delivers to a domain (RFC 7672): it looks up the MX records, the
addresses and the TLSA records and validates them from the DNSSEC root down, connects to the mail servers, and
compares what they present. It needs no cluster and no operator, and works for any domain.

The verdict for a host is DANE (authenticated), EncryptOnly (no TLSA record is usable), Opportunistic (TLS or not: some
link is insecure, or there are no TLSA records) or Undeliverable (bogus, no answer, or no match).

The exit code is 0 if every host is authenticated, 2 if one is not, 3 if mail is not delivered, and 1 if check itself
failed. Port 25 is often blocked where people sit: a host that cannot be reached from here may be fine.`,
		Example: `  kubectl dane check example.com

  # without connecting, through a resolver of your own, for a script
  kubectl dane check example.com --no-connect --resolvers 192.0.2.53:53 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return k.runCheck(cmd, o, args[0]) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.resolvers, "resolvers", nil, "recursive servers `HOST:PORT` to ask, with CD and DO; their word is never trusted. Default: the root servers down, or the system's")
	f.StringVar(&o.trustAnchors, "trust-anchors", "", "`FILE` with DS records, one a line, to validate from. Default: those of the public root")
	f.BoolVar(&o.noConnect, "no-connect", false, "do not connect to the mail servers: suppose that they present what they should")
	f.StringVar(&o.helo, "helo-name", "", "`NAME` to say EHLO with. Default: the host name")
	f.Uint16Var(&o.port, "port", 25, "`PORT` that mail is delivered at")
	f.StringVarP(&o.format, "output", "o", "", "`FORMAT`: json or yaml. Default: for people")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (k *kube) runCheck(cmd *cobra.Command, o *checkOptions, domain string) error {
	if wrong := validation.IsDNS1123Subdomain(strings.TrimSuffix(domain, ".")); len(wrong) > 0 {
		return fmt.Errorf("%q is no domain name in A-labels and lower case: %s", domain, strings.Join(wrong, "; "))
	}
	checker, err := o.checker(k)
	if err != nil {
		return err
	}
	report := checker.Check(cmd.Context(), domain, o.port)
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	if err := writeReport(k.Out, report, o.format); err != nil {
		return err
	}
	return exitOf(report.Verdict)
}

func (o *checkOptions) checker(k *kube) (sendercheck.Checker, error) {
	out := sendercheck.Checker{Now: k.now, Progress: k.progress()}
	switch o.format {
	case "", "json", "yaml":
	default:
		return out, fmt.Errorf("-o %s: want json or yaml", o.format)
	}
	for _, r := range o.resolvers {
		if err := resolve.CheckServer(r); err != nil {
			return out, fmt.Errorf("--resolvers %w", err)
		}
	}
	anchors := dnssec.RootAnchors()
	if o.trustAnchors != "" {
		text, err := os.ReadFile(o.trustAnchors)
		if err != nil {
			return out, fmt.Errorf("--trust-anchors: %w", err)
		}
		if anchors, err = dnssec.ParseAnchors(bytes.NewReader(text)); err != nil {
			return out, fmt.Errorf("--trust-anchors %s: %w", o.trustAnchors, err)
		}
	}
	// Whoever calls may ask and connect from here to whom he likes: no policy of ours stands between.
	anywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	out.Resolver = resolve.Validator(resolve.Options{Servers: o.resolvers, Anchors: anchors, Now: k.now, Allowed: anywhere})
	if !o.noConnect {
		helo := o.helo
		if helo == "" {
			helo, _ = os.Hostname() // without one the prober takes its own
		}
		out.Prober = probe.New(probe.Options{Clock: clock.RealClock{}, HELO: helo, AllowCIDRs: anywhere})
	}
	return out, nil
}

// progress tells somebody who waits at a terminal what is going on.
func (k *kube) progress() func(string) {
	file, ok := k.ErrOut.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return func(what string) { fmt.Fprintf(k.ErrOut, "%s …\n", what) }
}

// exitOf is the exit code for the verdict on a domain.
func exitOf(v senderview.Verdict) error {
	switch v {
	case senderview.DANE, senderview.NoMail:
		return nil
	case senderview.Undeliverable:
		return verdict{exitUndeliverable}
	}
	return verdict{exitUnprotected}
}

func writeReport(out io.Writer, r sendercheck.Report, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case "yaml":
		text, err := yaml.Marshal(r)
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	}
	fmt.Fprintf(out, "%s: %s\n%s\n", r.Domain, r.Verdict, r.Message)
	for _, h := range r.Hosts {
		section(out, "%s: %s", h.Host, h.Verdict)
		fmt.Fprintln(out, h.Message)
		if len(h.Records) > 0 {
			fmt.Fprintf(out, "TLSA records at %s:\n  %s\n", h.Base, strings.Join(h.Records, "\n  "))
		}
		var rows [][]string
		for _, e := range h.Endpoints {
			rows = append(rows, []string{e.Address, string(e.Presented), e.Reason})
		}
		if len(rows) == 0 {
			continue
		}
		if err := table(out, []string{"Address", "Presented", "Reason"}, rows); err != nil {
			return err
		}
	}
	return nil
}
