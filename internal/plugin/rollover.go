package plugin

import (
	"context"
	"fmt"
	"slices"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// rollover is "kubectl dane rollover".
func (k *kube) rollover() *cobra.Command {
	var compromised, dryRun bool
	var only string
	cmd := &cobra.Command{
		Use:   "rollover HOST",
		Short: "Begin a rollover of a mail server's key now",
		Long: `rollover has cert-manager renew the Certificates of a mail server now. The rollover is as safe as any: with the
strategies Gate and Stage the new key is served when every cache knows it.

With --compromised the keys in use are also added to spec.rollover.compromisedKeys of the MailDomain: they are left as
soon as another one may be served, their records go with the last endpoint that presents them, and they are never used
again. In a GitOps pipeline, write them into the manifest instead: the pipeline would take them out.`,
		Example: `  kubectl dane rollover mx1.example.com
  kubectl dane rollover mx1.example.com --compromised --dry-run`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: k.completeHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := k.client()
			if err != nil {
				return err
			}
			namespace, err := k.namespace()
			if err != nil {
				return err
			}
			plan, err := planRollover(cmd.Context(), c, namespace, args[0], only, compromised)
			if err != nil {
				return err
			}
			return k.carryOut(cmd.Context(), c, plan, dryRun)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&compromised, "compromised", false, "leave the keys in use, as somebody else may have them")
	f.StringVar(&only, "certificate", "", "`NAME` of the one Certificate to renew. Default: all of the host")
	_ = cmd.RegisterFlagCompletionFunc("certificate", k.completeCertificates)
	f.BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

// rolloverPlan is what a rollover begins with.
type rolloverPlan struct {
	domain *v1alpha1.MailDomain
	// renew are the Certificates to renew, and leave the digests of the keys that are compromised.
	renew []string
	leave []v1alpha1.SPKIDigest
}

// planRollover finds the MailDomain of a host and says what is to be done.
func planRollover(ctx context.Context, c client.Client, namespace, host, only string, compromised bool) (rolloverPlan, error) {
	var list v1alpha1.MailDomainList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return rolloverPlan{}, err
	}
	for i := range list.Items {
		md := &list.Items[i]
		at := renewable(md, host)
		if at < 0 {
			continue
		}
		return planOf(md, md.Spec.MailServers[at].Certificates, host, only, compromised)
	}
	list = v1alpha1.MailDomainList{}
	others := namespacesOf(ctx, c, &list, func() (out []string) {
		for i := range list.Items {
			if renewable(&list.Items[i], host) >= 0 {
				out = append(out, list.Items[i].Namespace)
			}
		}
		return out
	})
	return rolloverPlan{}, fmt.Errorf("no MailDomain in namespace %s has certificates for a mail server %s; %s", namespace, host, whereElse(others, "kubectl dane status -A"))
}

// planOf is what is to be done for a host of a MailDomain.
func planOf(md *v1alpha1.MailDomain, certificates []v1alpha1.CertificateReference, host, only string, compromised bool) (rolloverPlan, error) {
	plan := rolloverPlan{domain: md}
	for _, ref := range certificates {
		if only == "" || ref.Name == only {
			plan.renew = append(plan.renew, ref.Name)
		}
	}
	if len(plan.renew) == 0 {
		return plan, fmt.Errorf("mail server %s of MailDomain %s has no Certificate %q", host, md.Name, only)
	}
	if compromised {
		plan.leave = keysInUse(md.Status.MailServer(host), plan.renew)
	}
	if compromised && len(plan.leave) == 0 {
		return plan, fmt.Errorf("the status of MailDomain %s tells of no key in use at %s that could be compromised", md.Name, host)
	}
	return plan, nil
}

// renewable is where in the spec a host stands that has certificates; -1 where it does not.
func renewable(md *v1alpha1.MailDomain, host string) int {
	return slices.IndexFunc(md.Spec.MailServers, func(s v1alpha1.MailServer) bool {
		return s.Hostname == host && len(s.Certificates) > 0
	})
}

// keysInUse are those of Certificates that servers may present.
func keysInUse(s *v1alpha1.MailServerStatus, certificates []string) []v1alpha1.SPKIDigest {
	if s == nil {
		return nil
	}
	var out []v1alpha1.SPKIDigest
	for _, k := range s.Keys {
		if k.Role == v1alpha1.RoleCurrent && slices.Contains(certificates, k.Certificate) {
			out = append(out, v1alpha1.SPKIDigest(k.SPKISHA256))
		}
	}
	return out
}

func (k *kube) carryOut(ctx context.Context, c client.Client, plan rolloverPlan, dryRun bool) error {
	suffix := yesNo(dryRun, " (dry run)", "")
	md := plan.domain
	if len(plan.leave) > 0 {
		before := md.DeepCopy()
		for _, digest := range plan.leave {
			if !slices.Contains(md.Spec.Rollover.CompromisedKeys, digest) {
				md.Spec.Rollover.CompromisedKeys = append(md.Spec.Rollover.CompromisedKeys, digest)
			}
			fmt.Fprintf(k.Out, "maildomain/%s: key %s is compromised%s\n", md.Name, digest, suffix)
		}
		if !dryRun {
			if err := c.Patch(ctx, md, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
				return fmt.Errorf("write spec.rollover.compromisedKeys of MailDomain %s: %w", md.Name, err)
			}
		}
	}
	for _, name := range plan.renew {
		if !dryRun {
			k.progress.tell("beginning the renewal of Certificate " + name)
			if err := renew(ctx, c, md.Namespace, name); err != nil {
				return err
			}
		}
		fmt.Fprintf(k.Out, "certificate/%s: renewal begun%s\n", name, suffix)
	}
	if !dryRun {
		fmt.Fprintf(k.Out, "\n%s shows how it goes.\n", statusCommand(md))
	}
	return nil
}

// renew sets the condition that cert-manager's own tools set to have a Certificate renewed.
func renew(ctx context.Context, c client.Client, namespace, name string) error {
	var crt cmapi.Certificate
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &crt); err != nil {
		return err
	}
	before := crt.DeepCopy()
	cmutil.SetCertificateCondition(&crt, crt.Generation, cmapi.CertificateConditionIssuing, cmmeta.ConditionTrue,
		"ManuallyTriggered", "Certificate re-issuance manually triggered")
	if err := c.Status().Patch(ctx, &crt, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("renew Certificate %s (this needs the right to patch certificates/status): %w", name, err)
	}
	return nil
}
