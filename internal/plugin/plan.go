package plugin

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// fieldOwner is who a dry run is asked for in the name of.
const fieldOwner = "kubectl-dane"

// plan is "kubectl dane plan".
func (k *kube) plan() *cobra.Command {
	files := &resource.FilenameOptions{}
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Say which records a MailDomain would have, before it is applied",
		Long: `plan has the API server check the MailDomains of a manifest without storing them, reads the certificates that they name, and prints
the TLSA records that would be published, beside those that stand there now: + for one that comes, - for one that goes
when no cache and no server needs it any more. It says how long a new key has to wait before it is served. Below them stand
the other records that the spec asks for (MX, TLS-RPT, MTA-STS, SPF, DMARC), beside those that the operator has seen, and
what becomes of each DKIM key: whether the one in use stays, which takes its place, and when at the earliest.

It needs the right to read the Secrets of the Certificates.`,
		Example:           `  kubectl dane plan -f maildomain.yaml`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files.Filenames) == 0 {
				return fmt.Errorf("-f names the manifest")
			}
			return k.runPlan(cmd.Context(), files)
		},
	}
	cmd.Flags().StringSliceVarP(&files.Filenames, "filename", "f", nil, "`FILE`, folder or URL with the manifest; - is the standard input")
	cmd.Flags().BoolVarP(&files.Recursive, "recursive", "R", false, "read folders below the folder too")
	return cmd
}

func (k *kube) runPlan(ctx context.Context, files *resource.FilenameOptions) error {
	c, err := k.client()
	if err != nil {
		return err
	}
	namespace, err := k.namespace()
	if err != nil {
		return err
	}
	found := resource.NewBuilder(k.flags).Unstructured().ContinueOnError().NamespaceParam(namespace).DefaultNamespace().
		FilenameParam(false, files).Flatten().Do().IgnoreErrors(k.forKustomize)
	planned := 0
	err = found.Visit(func(info *resource.Info, err error) error {
		if err != nil || info.Object.GetObjectKind().GroupVersionKind().GroupKind() != v1alpha1.GroupVersion.WithKind("MailDomain").GroupKind() {
			return err
		}
		planned++
		k.progress.tell("planning MailDomain " + info.Name)
		return k.planOne(ctx, c, info)
	})
	if err == nil && planned == 0 {
		return fmt.Errorf("there is no MailDomain in %v", files.Filenames)
	}
	return err
}

// checked is the object as the API server would store it: with defaults, and found right. One that is there already
// keeps its status, by which the plan is compared.
func checked(ctx context.Context, c client.Client, info *resource.Info) (*v1alpha1.MailDomain, error) {
	object, ok := info.Object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("not an object: %T", info.Object)
	}
	md := &v1alpha1.MailDomain{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, md, true); err != nil {
		return nil, err
	}
	stored := &v1alpha1.MailDomain{}
	err := c.Get(ctx, client.ObjectKeyFromObject(md), stored)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err != nil {
		return md, c.Create(ctx, md, client.DryRunAll, client.FieldOwner(fieldOwner))
	}
	stored.Spec = md.Spec
	return stored, c.Update(ctx, stored, client.DryRunAll, client.FieldOwner(fieldOwner))
}

// planOne writes what an object of a manifest would come to.
func (k *kube) planOne(ctx context.Context, c client.Client, info *resource.Info) error {
	md, err := checked(ctx, c, info)
	if err != nil {
		return fmt.Errorf("%s: %w", info.Source, err)
	}
	fmt.Fprintf(k.Out, "MailDomain %s/%s of %s%s\n", md.Namespace, md.Name, md.Spec.Domain, whenServed(md))
	for i := range md.Spec.MailServers {
		server := &md.Spec.MailServers[i]
		chains, err := chainsOf(ctx, c, md.Namespace, server)
		if err != nil {
			return err
		}
		want, err := intend(md, server, chains)
		if err != nil {
			return err
		}
		writePlan(k.Out, md, server, want, md.Status.MailServer(server.Hostname))
	}
	writeRest(k.Out, md)
	return nil
}

// whenServed says by which strategy keys are handed to servers, and when at the earliest; nothing where no certificate is named.
func whenServed(md *v1alpha1.MailDomain) string {
	named := func(s v1alpha1.MailServer) bool { return len(s.Certificates) > 0 }
	switch {
	case !slices.ContainsFunc(md.Spec.MailServers, named):
		return ""
	case md.Spec.Rollover.Strategy == v1alpha1.StrategyFollow:
		return fmt.Sprintf(", strategy %s: nothing holds a new key back until its records are known", md.Spec.Rollover.Strategy)
	}
	return fmt.Sprintf(", strategy %s: a new key is served %s after every name server shows it, at the earliest",
		md.Spec.Rollover.Strategy, duration.HumanDuration(keyWait(md)))
}

// intended is what a host of a MailDomain comes to.
type intended struct {
	sets []recordSet
	// gaps are the Certificates that have none yet.
	gaps []string
}

// intend computes the records of a host from the chains of its Certificates.
func intend(md *v1alpha1.MailDomain, server *v1alpha1.MailServer, chains map[string][]*x509.Certificate) (intended, error) {
	var out intended
	var params []tlsa.Parameters
	for _, text := range md.Spec.TLSA.Parameters {
		p, err := tlsa.ParseParameters(string(text))
		if err != nil {
			return out, fmt.Errorf("spec.tlsa.parameters: %w", err)
		}
		params = append(params, p)
	}
	var records []string
	for _, ref := range server.Certificates {
		chain := chains[ref.Name]
		if len(chain) == 0 {
			out.gaps = append(out.gaps, ref.Name)
			continue
		}
		of, err := tlsa.Associations(chain, params)
		if err != nil {
			return out, fmt.Errorf("certificate of %s: %w", ref.Name, err)
		}
		for _, r := range of {
			records = append(records, r.String())
		}
	}
	for _, r := range md.Spec.TLSA.AdditionalRecords {
		records = append(records, string(r))
	}
	slices.Sort(records)
	for _, p := range server.Ports {
		out.sets = append(out.sets, tlsaSet(ownerName(server.Hostname, p.Port), int64(md.Spec.TLSA.TTL), records))
	}
	return out, nil
}

// keyWait is how long a new key waits after every name server shows its record: max(2 ttl, ttl + publishSafety).
func keyWait(md *v1alpha1.MailDomain) time.Duration {
	ttl := time.Duration(md.Spec.TLSA.TTL) * time.Second
	return max(2*ttl, ttl+md.Spec.Rollover.PublishSafety.Or(time.Hour))
}

// writePlan writes what a host comes to beside what it shows now.
func writePlan(out io.Writer, md *v1alpha1.MailDomain, server *v1alpha1.MailServer, want intended, now *v1alpha1.MailServerStatus) {
	section(out, "%s", server.Hostname)
	if len(server.Certificates) == 0 {
		fmt.Fprintln(out, "It names no certificates: its TLSA records are checked, and never written.")
		return
	}
	for _, name := range want.gaps {
		fmt.Fprintf(out, "Certificate %s has no certificate yet: its records come with it.\n", name)
	}
	for _, set := range want.sets {
		fmt.Fprintf(out, "%s TTL %d\n", set.Name, set.TTL)
		writePlannedSet(out, md, set, now)
	}
	if md.Spec.Rollover.KeepsStandbyKey() && !hasKey(now, v1alpha1.RoleNext) {
		fmt.Fprintln(out, "The record of a standby key comes beside these, when that is made.")
	}
}

// writePlannedSet writes what comes, stays and goes at one owner.
func writePlannedSet(out io.Writer, md *v1alpha1.MailDomain, set recordSet, now *v1alpha1.MailServerStatus) {
	comes, goes := paint(out, good, "+"), paint(out, bad, "-")
	var have, foreign []string
	if now != nil {
		have, foreign = dataAt(now.Records, set.Name), dataAt(now.ForeignRecords, set.Name)
	}
	for _, r := range set.Data {
		fmt.Fprintf(out, "  %s %s\n", yesNo(slices.Contains(have, r), " ", comes), r)
	}
	for _, r := range have {
		switch why := keptFor(md, now, r); {
		case slices.Contains(set.Data, r):
		case slices.Contains(foreign, r):
			fmt.Fprintf(out, "  %s %s (foreign)\n", yesNo(md.Spec.TLSA.ForeignRecords == v1alpha1.ForeignRemove, goes, " "), r)
		case why != "":
			fmt.Fprintf(out, "    %s (%s)\n", r, why)
		default:
			fmt.Fprintf(out, "  %s %s\n", goes, r)
		}
	}
}

// dataAt are the data of the records of an owner, which stand in status as lines of a zone file.
func dataAt(lines []string, owner string) []string {
	var out []string
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, " ")
		if _, data, found := strings.Cut(rest, " IN TLSA "); found && strings.EqualFold(strings.TrimSuffix(name, "."), strings.TrimSuffix(owner, ".")) {
			out = append(out, data)
		}
	}
	return out
}

// keptFor says for which key that is not in the Certificate's Secret a record stands; empty for none.
func keptFor(md *v1alpha1.MailDomain, now *v1alpha1.MailServerStatus, record string) string {
	for _, k := range now.Keys {
		if !slices.Contains(k.Records, record) {
			continue
		}
		switch k.Role {
		case v1alpha1.RoleNext:
			if !md.Spec.Rollover.KeepsStandbyKey() {
				return "of the next key: it goes, unless a renewal has asked for that key"
			}
			return "of the next key"
		case v1alpha1.RolePrevious:
			return "of the key that was in use before, for a while"
		}
	}
	return ""
}

func hasKey(now *v1alpha1.MailServerStatus, role v1alpha1.KeyRole) bool {
	return now != nil && slices.ContainsFunc(now.Keys, func(k v1alpha1.KeyStatus) bool { return k.Role == role })
}

// chainsOf reads the certificates that a host presents.
func chainsOf(ctx context.Context, c client.Client, namespace string, server *v1alpha1.MailServer) (map[string][]*x509.Certificate, error) {
	out := map[string][]*x509.Certificate{}
	for _, ref := range server.Certificates {
		var crt cmapi.Certificate
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &crt); err != nil {
			if client.IgnoreNotFound(err) == nil {
				continue
			}
			return nil, err
		}
		var secret corev1.Secret
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: crt.Spec.SecretName}, &secret); err != nil {
			if client.IgnoreNotFound(err) == nil {
				continue
			}
			return nil, err
		}
		chain, err := tlsa.ParseChain(secret.Data[corev1.TLSCertKey])
		if err != nil {
			return nil, fmt.Errorf("secret %s of Certificate %s: %w", secret.Name, ref.Name, err)
		}
		out[ref.Name] = chain
	}
	return out, nil
}
