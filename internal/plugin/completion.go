package plugin

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// PlainUsage takes the marks off the texts of all flags that name their values in the help: shells show the texts as they are.
func PlainUsage(cmd *cobra.Command) {
	plain := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	cmd.PersistentFlags().VisitAll(plain)
	cmd.Flags().VisitAll(plain)
	for _, c := range cmd.Commands() {
		PlainUsage(c)
	}
}

// completeDomains offers the names of MailDomains to a shell.
func (k *kube) completeDomains(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, md := range k.knownDomains(cmd) {
		out = append(out, cobra.CompletionWithDesc(md.Name, md.Spec.Domain))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// knownDomains are the MailDomains of the namespace, for a shell: none where they cannot be read.
func (k *kube) knownDomains(cmd *cobra.Command) []v1alpha1.MailDomain {
	var list v1alpha1.MailDomainList
	k.known(cmd, &list)
	return list.Items
}

// known reads what there is in the namespace, for a shell, which has no use for an error.
func (k *kube) known(cmd *cobra.Command, list client.ObjectList) {
	if c, err := k.client(); err == nil {
		namespace, _ := k.namespace()
		_ = c.List(cmd.Context(), list, client.InNamespace(namespace))
	}
}

// completeHosts offers the mail servers that have certificates to a shell.
func (k *kube) completeHosts(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if len(args) == 0 {
		for _, md := range k.knownDomains(cmd) {
			for i := range md.Spec.MailServers {
				if s := &md.Spec.MailServers[i]; len(s.Certificates) > 0 {
					out = append(out, cobra.CompletionWithDesc(s.Hostname, "MailDomain "+md.Name))
				}
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeCertificates offers those of a mail server, or of all, to a shell.
func (k *kube) completeCertificates(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, md := range k.knownDomains(cmd) {
		for i := range md.Spec.MailServers {
			s := &md.Spec.MailServers[i]
			if len(args) > 0 && s.Hostname != args[0] {
				continue
			}
			for _, ref := range s.Certificates {
				out = append(out, cobra.CompletionWithDesc(ref.Name, s.Hostname))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeZones offers the names of DNSZones to a shell.
func (k *kube) completeZones(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if len(args) == 0 {
		var list v1alpha1.DNSZoneList
		k.known(cmd, &list)
		for i := range list.Items {
			out = append(out, cobra.CompletionWithDesc(list.Items[i].Name, list.Items[i].Spec.Zone))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
