package plugin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
)

// recordFormats are what -o of "kubectl dane records" takes.
var recordFormats = []string{"zone", "nsupdate", "json", "yaml"}

// records is "kubectl dane records".
func (k *kube) records() *cobra.Command {
	format, served := recordFormats[0], false
	cmd := &cobra.Command{
		Use:   "records DOMAIN",
		Short: "Print the records to put in DNS by hand",
		Long: `records prints the records that a MailDomain comes to: the TLSA records of its keys, the MX records of its mail servers, and what its
spec asks for beside that (TLS-RPT, MTA-STS, SPF, DMARC, DKIM), as its status has them.

TLSA records are those of the keys in use, of the next ones, and of the former ones that caches or servers may still need.
Foreign TLSA records stay where they are and are printed too, since that RRset is written as a whole. Of the others those
of the MailDomain alone are printed: other TXT records at the same name stay beside them.

The record of MTA-STS is commented out while it does not stand in DNS yet: senders that find it fetch the policy, which has to be
served before (RFC 8461). The comment says what to serve and how to look; --policy-served says that it is, and prints the record.

The MX record of a host is commented out while the status has no key of its certificates and the record does not stand in DNS: senders
that find a host in the MX records should find its TLSA records. As long as one is, the MX records of former hosts stay.

What is not known yet is told in a comment. It is for zones that the operator may not write, and for a look at what it would write.

The exit code is 0 if all that the spec asks for is printed, and 2 if something is missing or held back.`,
		Example: `  # as lines of a zone file
  kubectl dane records example.com

  # as a script
  kubectl dane records example.com -o nsupdate | nsupdate -k key.conf

  # when the policy of MTA-STS is served, its record too
  kubectl dane records example.com -o nsupdate --policy-served | nsupdate -k key.conf

  # for a program
  kubectl dane records example.com -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: k.completeDomains,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(recordFormats, format) {
				return fmt.Errorf("-o %s: want one of %s", format, strings.Join(recordFormats, ", "))
			}
			_, md, err := k.mailDomain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			list := recordList(md, served)
			if err := list.write(k.Out, format); err != nil {
				return err
			}
			return list.judge()
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", format, "`FORMAT`: zone for lines of a zone file, nsupdate for a script, json or yaml")
	cmd.Flags().BoolVar(&served, "policy-served", false, "say that the policy of MTA-STS is served as the comment wants it: its record is not held back then")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(recordFormats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// published are the records to publish for a domain.
type published struct {
	Domain  string      `json:"domain"`
	Records []recordSet `json:"records"`
	// Missing says what the spec asks for and is not known yet, and why.
	Missing []string `json:"missing,omitempty"`
}

// recordSet is an RRset as it should stand, or for a TXT record the part of it that is the MailDomain's.
type recordSet struct {
	// Part is what it is for: TLSA, DKIM, or what status.records calls it.
	Part string `json:"part"`
	// Name is the owner, with a dot at its end.
	Name string `json:"name"`
	TTL  int64  `json:"ttl"`
	Type string `json:"type"`
	// Data are the records, as they stand in a zone file.
	Data []string `json:"data"`
	// Replaces are records of the same kind that stand there now and are to go.
	Replaces []string `json:"replaces,omitempty"`
	// Message says what is wrong with it, or has to be done first.
	Message string `json:"message,omitempty"`
	// Policy is what the policy host of MTA-STS has to serve before the record is changed.
	Policy string `json:"policy,omitempty"`
	// Held says that the records must not be published yet: Policy has to be served first (RFC 8461 section 8.1), or the TLSA
	// records of a host be known.
	Held bool `json:"held,omitempty"`
}

// recordList is what a MailDomain comes to. served says that somebody has seen the policy of MTA-STS served.
func recordList(md *v1alpha1.MailDomain, served bool) published {
	out := published{Domain: md.Spec.Domain, Records: recordSets(md)}
	out.addExchanges(md)
	for i := range md.Status.Records {
		r := &md.Status.Records[i]
		switch {
		case r.Record == v1alpha1.RecordMX || r.State == v1alpha1.MailRecordNotManaged || r.State == v1alpha1.MailRecordRemoving:
		case len(r.Wanted) == 0:
			out.Missing = append(out.Missing, fmt.Sprintf("%s: %s", r.Record, cmp.Or(r.Message, string(r.State))))
		default:
			out.Records = append(out.Records, recordSet{
				Part: string(r.Record), Name: r.Name + ".", TTL: recordTTL, Type: r.Type, Data: r.Wanted, Replaces: without(r.Found, r.Wanted), Message: r.Message, Policy: r.Policy,
				Held: r.Record == v1alpha1.RecordMTASTS && !served && len(without(r.Wanted, r.Found)) > 0,
			})
		}
	}
	out.addSigningKeys(md)
	return out
}

// addSigningKeys adds the records of the keys that mail is signed with: those in use, the next ones, and the former ones
// that receivers may still need, or are told of as revoked.
func (p *published) addSigningKeys(md *v1alpha1.MailDomain) {
	ttl := int64(recordTTL)
	if d := md.Spec.DKIM; d != nil {
		ttl = cmp.Or(int64(d.TTL), ttl)
		for _, k := range d.Keys {
			if s := md.Status.DKIMKey(k.Name); s == nil || len(s.Keys) == 0 {
				p.Missing = append(p.Missing, fmt.Sprintf("DKIM key %s: there is none in the status yet; %s says what it waits for", k.Name, statusCommand(md)))
			}
		}
	}
	for _, s := range md.Status.DKIM {
		for _, k := range s.Keys {
			if k.Visibility == v1alpha1.VisibilityUnretentive {
				continue
			}
			if k.Record == "" {
				p.Missing = append(p.Missing, fmt.Sprintf("DKIM key %s: the record of selector %s is not in the status; %s says how the key stands", s.Name, k.Selector, statusCommand(md)))
				continue
			}
			set := recordSet{Part: "DKIM", Name: mailrecord.DKIMName(k.Selector, md.Spec.Domain) + ".", TTL: ttl, Type: "TXT", Data: []string{k.Record}}
			for _, own := range s.Own {
				if own.Selector == k.Selector && own.Record != k.Record {
					set.Replaces = append(set.Replaces, own.Record)
				}
			}
			p.Records = append(p.Records, set)
		}
	}
}

// recordTTL is the TTL that the operator gives new records beside TLSA, in seconds.
const recordTTL = 3600

// without is what is in one list and not in another.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(one string) bool { return slices.Contains(other, one) })
}

// recordSets are the TLSA RRsets of all ports of all hosts that have keys.
func recordSets(md *v1alpha1.MailDomain) []recordSet {
	ttl := int64(md.Spec.TLSA.TTL)
	var out []recordSet
	for i := range md.Spec.MailServers {
		server := &md.Spec.MailServers[i]
		s := md.Status.MailServer(server.Hostname)
		own := ownRecords(s)
		if len(own) == 0 {
			continue
		}
		for _, p := range server.Ports {
			records := slices.Sorted(slices.Values(append(dataAt(s.ForeignRecords, ownerName(server.Hostname, p.Port)), own...)))
			out = append(out, tlsaSet(ownerAt(s, server.Hostname, p.Port), ttl, records))
		}
	}
	return out
}

func tlsaSet(owner string, ttl int64, records []string) recordSet {
	return recordSet{Part: "TLSA", Name: owner, TTL: ttl, Type: "TLSA", Data: slices.Compact(slices.Clone(records))}
}

// ownerName is the TLSA owner of a host and port (RFC 7671 section 3).
func ownerName(hostname string, port int32) string {
	return fmt.Sprintf("_%d._tcp.%s.", port, hostname)
}

// ownerAt is where the records of a port stand: at the end of the aliases of its owner.
func ownerAt(s *v1alpha1.MailServerStatus, hostname string, port int32) string {
	owner := ownerName(hostname, port)
	for _, a := range s.Aliases {
		if a.Owner == owner {
			return a.End
		}
	}
	return owner
}

func (p published) write(out io.Writer, format string) error {
	switch format {
	case "zone":
		p.writeZoneFile(out)
	case "nsupdate":
		p.writeNsupdate(out)
	default:
		text, err := json.MarshalIndent(p, "", "  ")
		if err == nil && format == "yaml" {
			text, err = yaml.JSONToYAML(text)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, strings.TrimSuffix(string(text), "\n"))
		return err
	}
	return nil
}

func (p published) writeZoneFile(out io.Writer) {
	for _, set := range p.Records {
		writeNotes(out, p.Domain, set)
		mark := set.mark()
		for _, r := range set.Replaces {
			fmt.Fprintf(out, "; in place of\t%s\tIN\t%s\t%s\n", set.Name, set.Type, r)
		}
		for _, r := range set.Data {
			fmt.Fprintf(out, mark+"%s\t%d\tIN\t%s\t%s\n", set.Name, set.TTL, set.Type, r)
		}
	}
	p.writeMissing(out)
}

// mark is what the lines of a record begin with: that of a comment where it is held back.
func (s recordSet) mark() string {
	if s.Held {
		return "; "
	}
	return ""
}

// writeNotes says in comments what there is to say of a record, and what to serve for MTA-STS: the body comes before the
// record, which tells senders to fetch it (RFC 8461 section 8.1).
func writeNotes(out io.Writer, domain string, set recordSet) {
	if set.Message != "" {
		fmt.Fprintf(out, "; %s\n", oneLine(set.Message))
	}
	if set.Policy == "" {
		return
	}
	where := "https://" + mailrecord.MTASTSHost(domain) + mailrecord.PolicyPath
	if set.Held {
		fmt.Fprintf(out, "; HELD BACK: the record of MTA-STS below is commented out. Its policy has to be served first:\n; 1. have %s serve this, as text/plain:\n", where)
	} else {
		fmt.Fprintf(out, "; %s has to serve this, as text/plain:\n", where)
	}
	for line := range strings.Lines(set.Policy) {
		fmt.Fprintf(out, ";   %s\n", strings.TrimRight(line, "\r\n"))
	}
	if set.Held {
		fmt.Fprintf(out, "; 2. see that it does: curl --fail %s\n; 3. print the record by --policy-served\n", where)
	}
}

func (p published) writeMissing(out io.Writer) {
	for _, m := range p.Missing {
		fmt.Fprintf(out, "; missing: %s\n", oneLine(m))
	}
}

// oneLine is for a comment, which ends with its line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// writeNsupdate writes one transaction for each RRset: what stands there goes in the same message in which the new
// records come, so that no sender finds none. TLSA RRsets are written as a whole, and of others the records of the kind.
func (p published) writeNsupdate(out io.Writer) {
	for _, set := range p.Records {
		writeNotes(out, p.Domain, set)
		mark := set.mark()
		if set.Type == "TLSA" {
			fmt.Fprintf(out, "update delete %s TLSA\n", set.Name)
		}
		for _, r := range set.Replaces {
			fmt.Fprintf(out, mark+"update delete %s %s %s\n", set.Name, set.Type, r)
		}
		for _, r := range set.Data {
			fmt.Fprintf(out, mark+"update add %s %d %s %s\n", set.Name, set.TTL, set.Type, r)
		}
		fmt.Fprintln(out, mark+"send")
	}
	p.writeMissing(out)
}
