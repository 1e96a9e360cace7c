package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// records is "kubectl dane records".
func (k *kube) records() *cobra.Command {
	format := "zone"
	cmd := &cobra.Command{
		Use:   "records DOMAIN",
		Short: "Print the TLSA records to put in DNS by hand",
		Long: `records prints the TLSA records of the keys that a MailDomain tells of in its status: those in use, the next ones,
and the former ones that caches or servers may still need. Foreign records stay where they are and are printed too,
since an RRset is written as a whole.

It is for zones that the operator may not write, and for a look at what it would write.`,
		Example: `  # as lines of a zone file
  kubectl dane records example.com

  # as a script
  kubectl dane records example.com -o nsupdate | nsupdate -k key.conf`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: k.completeDomains,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "zone" && format != "nsupdate" {
				return fmt.Errorf("-o %s: want zone or nsupdate", format)
			}
			_, md, err := k.mailDomain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			sets := recordSets(md)
			if len(sets) == 0 {
				return fmt.Errorf("MailDomain %s has no keys in its status yet: kubectl dane status %s says what it waits for", md.Name, md.Name)
			}
			write := writeZoneFile
			if format == "nsupdate" {
				write = writeNsupdate
			}
			write(k.Out, sets)
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", format, "`FORMAT`: zone for lines of a zone file, or nsupdate for a script")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"zone", "nsupdate"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// recordSet is a TLSA RRset as it should stand.
type recordSet struct {
	owner   string
	ttl     int64
	records []string
}

// recordSets are the RRsets of all ports of all hosts that have keys.
func recordSets(md *v1alpha1.MailDomain) []recordSet {
	ttl := int64(md.Spec.TLSA.TTL)
	var out []recordSet
	for i := range md.Spec.MailServers {
		server := &md.Spec.MailServers[i]
		s := md.Status.MailServer(server.Hostname)
		if s == nil || len(s.Keys) == 0 {
			continue
		}
		records := slices.Clone(s.ForeignRecords)
		for _, k := range s.Keys {
			if k.Visibility != v1alpha1.VisibilityUnretentive { // those have been taken out
				records = append(records, k.Records...)
			}
		}
		slices.Sort(records)
		for _, p := range server.Ports {
			out = append(out, recordSet{ownerAt(s, server.Hostname, p.Port), ttl, slices.Compact(slices.Clone(records))})
		}
	}
	return out
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

func writeZoneFile(out io.Writer, sets []recordSet) {
	for _, set := range sets {
		for _, r := range set.records {
			fmt.Fprintf(out, "%s\t%d\tIN\tTLSA\t%s\n", set.owner, set.ttl, r)
		}
	}
}

// writeNsupdate writes one transaction for each RRset: what stands there goes in the same message in which the new
// records come, so that no sender finds none.
func writeNsupdate(out io.Writer, sets []recordSet) {
	for _, set := range sets {
		var b strings.Builder
		fmt.Fprintf(&b, "update delete %s TLSA\n", set.owner)
		for _, r := range set.records {
			fmt.Fprintf(&b, "update add %s %d TLSA %s\n", set.owner, set.ttl, r)
		}
		fmt.Fprint(out, b.String(), "send\n")
	}
}
