package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// operated is what one operator acts for, by the flags of its Deployment.
type operated struct {
	// operator is NAMESPACE/NAME of the Deployment.
	operator string
	shard    shard.Shard
	// namespaces that it watches; none for all.
	namespaces []string
}

// has says whether the operator acts for an object.
func (p operated) has(o client.Object) bool {
	return p.shard.Has(o) && (len(p.namespaces) == 0 || slices.Contains(p.namespaces, o.GetNamespace()))
}

// examineShards looks for objects that no operator acts for, and for those that several act for. Where no Deployment has a
// selector, where one has a configuration file, which may have one, and where Deployments cannot be read, it says nothing.
func examineShards(ctx context.Context, c client.Client, _ time.Time) []finding {
	var deployments appsv1.DeploymentList
	if err := c.List(ctx, &deployments, client.MatchingLabels{"app.kubernetes.io/name": "dane-operator"}); err != nil {
		return nil
	}
	parts, known := partsOf(deployments.Items)
	if !known || !slices.ContainsFunc(parts, func(p operated) bool { return !p.shard.All() }) {
		return nil
	}
	var domains v1alpha1.MailDomainList
	var zones v1alpha1.DNSZoneList
	if c.List(ctx, &domains) != nil || c.List(ctx, &zones) != nil {
		return nil // said by examineDomains and examineZones
	}
	var all []client.Object
	for i := range domains.Items {
		all = append(all, &domains.Items[i])
	}
	for i := range zones.Items {
		all = append(all, &zones.Items[i])
	}
	return shared(all, parts)
}

// shared says which objects belong to no operator, and which to several.
func shared(all []client.Object, parts []operated) []finding {
	var out []finding
	for _, o := range all {
		var by []string
		for _, p := range parts {
			if p.has(o) {
				by = append(by, p.operator)
			}
		}
		what := fmt.Sprintf("%s %s/%s", kindOf(o), o.GetNamespace(), o.GetName())
		switch len(by) {
		case 0:
			out = append(out, finding{warning, what, "no operator acts for it: no Deployment's --selector and --namespace match it; change its labels, or a selector"})
		case 1:
		default:
			out = append(out, finding{broken, what, "several operators act for it, " + strings.Join(by, " and ") + ": change its labels, or a selector, so that one does"})
		}
	}
	if len(out) == 0 {
		return []finding{{fine, fmt.Sprintf("each object has one of %d operators", len(parts)), ""}}
	}
	return out
}

func kindOf(o client.Object) string {
	if _, zone := o.(*v1alpha1.DNSZone); zone {
		return "DNSZone"
	}
	return "MailDomain"
}

// partsOf reads the flags of the operators. It says no where they do not tell everything.
func partsOf(deployments []appsv1.Deployment) ([]operated, bool) {
	var out []operated
	for i := range deployments {
		d := &deployments[i]
		for _, container := range d.Spec.Template.Spec.Containers {
			p := operated{operator: d.Namespace + "/" + d.Name}
			for flag, value := range flagsOf(container.Args) {
				var err error
				switch flag {
				case "config":
					return nil, false
				case "namespace":
					p.namespaces = strings.Split(value, ",")
				case "selector":
					p.shard, err = shard.Parse(value)
				}
				if err != nil {
					return nil, false // it does not start
				}
			}
			out = append(out, p)
		}
	}
	return out, true
}

// flagsOf are the flags of a command line; of one that is repeated the values, with commas between them.
func flagsOf(args []string) map[string]string {
	out := map[string]string{}
	for i, arg := range args {
		name, ok := strings.CutPrefix(arg, "--")
		if !ok {
			continue
		}
		name, value, with := strings.Cut(name, "=")
		if !with && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			value = args[i+1]
		}
		if before, twice := out[name]; twice {
			value = before + "," + value
		}
		out[name] = value
	}
	return out
}
