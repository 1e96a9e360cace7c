package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/probe"
	"github.com/dane-operator/dane-operator/internal/resolve"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
)

type checkOptions struct {
	resolvers    []string
	trustAnchors string
	noConnect    bool
	helo         string
	port         uint16
	format       string
	selectors    []string
	files        resource.FilenameOptions
	allowed      []string
	strict       bool
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
link is insecure, or there are no TLSA records) or Undeliverable (bogus, no answer, or no match). Before a domain is blamed
check looks whether the zone of the trust anchor, most often the root, can be validated. Where it cannot, the resolver
or the network drops what DNSSEC needs, or the clock is wrong: then the domain is Unknown, and check says what to do.

The rest of the domain is graded beside that, each part with one line of advice: the MX records, DNSSEC, TLS-RPT
(RFC 8460), MTA-STS with its policy fetched as senders do (RFC 8461), SPF with what receivers have to look up
(RFC 7208), DMARC (RFC 9989), and the DKIM keys (RFC 6376). DNS does not tell which selectors there are: they are those of
the MailDomain of that domain in the namespace, where there is one, unless --dkim-selector or -f names others. The grades are Good, Improve,
Missing, Broken, Unknown (it could not be looked up), NotNeeded and NotChecked.

The exit code is 0 if every host is authenticated, 2 if one is not, 3 if mail is not delivered, and 1 if check itself
failed or the domain is Unknown. The grades do not change it, unless --strict is given: then it is 2 also if a part is Missing, Broken or
Unknown. Port 25 is often blocked where people sit: a host that cannot be reached from here may be fine.`,
		Example: `  kubectl dane check example.com

  # with the keys that mail is signed with; fail if anything is missing
  kubectl dane check example.com --dkim-selector 2026a --dkim-selector 2026b --strict

  # with the keys that a MailDomain of another cluster tells of
  kubectl --context there get maildomain example -o yaml | kubectl dane check example.com -f -

  # without connecting, through a resolver of your own, for a script
  kubectl dane check example.com --no-connect --resolvers 192.0.2.53:53 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return k.runCheck(cmd, o, args[0]) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.resolvers, "resolvers", nil, "recursive servers `HOST:PORT` to ask, with CD and DO; their word is never trusted. Default: the root servers down, or the system's")
	f.StringVar(&o.trustAnchors, "trust-anchors", "", "`FILE` with DS or DNSKEY records, one a line, or IANA's root-anchors.xml, to validate from. Default: those of the public root")
	f.BoolVar(&o.noConnect, "no-connect", false, "do not connect to the mail servers, and suppose that they present what they should; do not fetch the policy of MTA-STS")
	f.StringVar(&o.helo, "helo-name", "", "`NAME` to say EHLO with. Default: the host name")
	f.Uint16Var(&o.port, "port", 25, "`PORT` that mail is delivered at")
	f.StringVarP(&o.format, "output", "o", "", "`FORMAT`: json or yaml. Default: for people")
	f.StringSliceVar(&o.selectors, "dkim-selector", nil, "`SELECTOR` of a DKIM key to look at; may be given again. Default: those that the MailDomain of the domain tells of, where the cluster has one")
	f.StringSliceVarP(&o.files.Filenames, "filename", "f", nil, "`FILE` with the MailDomain and its status, which tells of the DKIM keys; - is the standard input")
	f.StringSliceVar(&o.allowed, "allow-cidr", nil, "`NETWORK` where the policy of MTA-STS may be fetched, beside public addresses: the domain decides where that is")
	f.BoolVar(&o.strict, "strict", false, "end with exit code 2 also if a part of the domain is Missing, Broken or Unknown")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (k *kube) runCheck(cmd *cobra.Command, o *checkOptions, domain string) error {
	if wrong := validation.IsDNS1123Subdomain(strings.TrimSuffix(domain, ".")); len(wrong) > 0 {
		return fmt.Errorf("%q is no domain name in A-labels and lower case: %s", domain, strings.Join(wrong, "; "))
	}
	checker, path, err := o.checker(k)
	if err != nil {
		return err
	}
	k.progress.tell("asking the cluster for the DKIM keys of " + domain)
	more, err := k.selectors(cmd.Context(), o, domain)
	if err != nil {
		return err
	}
	checker.Selectors = append(checker.Selectors, more...)
	k.progress.tell("looking whether " + domain + " can be validated from here")
	report := o.look(cmd.Context(), checker, path, domain)
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	if err := writeReport(k.Out, report, o.format); err != nil {
		return err
	}
	return exitOf(report, o.strict)
}

// checker makes what looks at a domain, and what looks whether that can be done from here.
func (o *checkOptions) checker(k *kube) (sendercheck.Checker, pathTo, error) {
	out := sendercheck.Checker{Now: k.now, Progress: k.progress.tell}
	switch o.format {
	case "", "json", "yaml":
	default:
		return out, nil, fmt.Errorf("-o %s: want json or yaml", o.format)
	}
	for _, r := range o.resolvers {
		if err := resolve.CheckServer(r); err != nil {
			return out, nil, fmt.Errorf("--resolvers %w", err)
		}
	}
	anchors := dnssec.RootAnchors()
	if o.trustAnchors != "" {
		text, err := os.ReadFile(o.trustAnchors)
		if err != nil {
			return out, nil, fmt.Errorf("--trust-anchors: %w", err)
		}
		if anchors, err = dnssec.ParseAnchors(bytes.NewReader(text), k.now()); err != nil {
			return out, nil, fmt.Errorf("--trust-anchors %s: %w", o.trustAnchors, err)
		}
	}
	if err := o.parts(k, &out); err != nil {
		return out, nil, err
	}
	// Whoever calls may ask and connect from here to whom he likes: no policy of ours stands between.
	anywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	validator := resolve.Validator(resolve.Options{Servers: o.resolvers, Anchors: anchors, Now: k.now, Allowed: anywhere})
	out.Resolver = validator
	if !o.noConnect {
		helo := o.helo
		if helo == "" {
			helo, _ = os.Hostname() // without one the prober takes its own
		}
		out.Prober = probe.New(probe.Options{Clock: clock.RealClock{}, HELO: helo, AllowCIDRs: anywhere})
		out.Policies.Resolver = out.Resolver
	}
	return out, validator.Path, nil
}

// parts takes over what the rest of the domain is looked at with. A policy is not fetched from everywhere: unlike the
// address of a mail server, nobody has looked at that of the policy host before he calls.
func (o *checkOptions) parts(k *kube, out *sendercheck.Checker) error {
	var allowed []netip.Prefix
	for _, text := range o.allowed {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("--allow-cidr: %w", err)
		}
		allowed = append(allowed, network)
	}
	for _, selector := range o.selectors {
		selector = strings.ToLower(selector)
		if wrong := validation.IsDNS1123Subdomain(selector); len(wrong) > 0 {
			return fmt.Errorf("--dkim-selector %q is no selector: %s", selector, strings.Join(wrong, "; "))
		}
		out.Selectors = append(out.Selectors, selector)
	}
	if !o.noConnect {
		out.Policies = &sendercheck.PolicyFetcher{Allowed: allowed, Now: k.now}
	}
	return nil
}

// exitOf is the exit code for the verdict on a domain, and where that is strict for its parts.
func exitOf(r sendercheck.Report, strict bool) error {
	switch r.Verdict {
	case unknown:
		return verdict{exitFailed}
	case senderview.DANE, senderview.NoMail:
		if strict && slices.ContainsFunc(r.Parts, sendercheck.PartReport.Attention) {
			return verdict{exitFound}
		}
		return nil
	case senderview.Undeliverable:
		return verdict{exitUndeliverable}
	}
	return verdict{exitFound}
}

// toneOfVerdict is that of a domain or host.
func toneOfVerdict(v senderview.Verdict) tone { return tones[string(v)] }

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
	fmt.Fprintf(out, "%s: %s\n%s\n", paint(out, heading, r.Domain), paint(out, toneOfVerdict(r.Verdict), string(r.Verdict)), wrap(strings.Fields(r.Message), widthOf(out), ""))
	for _, h := range r.Hosts {
		toned(out, toneOfVerdict(h.Verdict), "%s: %s", h.Host, h.Verdict)
		fmt.Fprintln(out, wrap(strings.Fields(h.Message), widthOf(out), ""))
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
	return writeParts(out, r.Parts)
}
