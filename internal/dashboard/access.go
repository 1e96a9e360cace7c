package dashboard

import (
	"context"
	"net/http"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/door"
)

// Path is the nonResourceURL that somebody must be allowed to get who is to see the page.
const Path = "/dashboard"

// Doorkeeper says what the owner of a token may do, as an HTTP status: 200, 401 or 403.
type Doorkeeper interface {
	Ask(ctx context.Context, token string, a door.Access) (int, error)
}

// admission says who sees what: who may get the nonResourceURL, and list MailDomains and DNSZones where he wants to look.
// Nobody sees more here than kubectl would show him.
type admission struct {
	door Doorkeeper
	// watched are the namespaces that the operator watches; none for all.
	watched []string
}

// ask gives the status of somebody who wants to look at a namespace, or with an empty name at all that are watched.
func (a admission) ask(ctx context.Context, token, namespace string) (int, error) {
	if status, err := a.door.Ask(ctx, token, door.Access{Verb: "get", Path: Path}); err != nil || status != http.StatusOK {
		return status, err
	}
	status, err := a.lists(ctx, token, namespace)
	if err != nil || status != http.StatusForbidden || namespace != "" || len(a.watched) == 0 {
		return status, err
	}
	for _, n := range a.watched {
		if status, err := a.lists(ctx, token, n); err != nil || status != http.StatusOK {
			return status, err
		}
	}
	return http.StatusOK, nil
}

// lists asks about both kinds in a namespace, or in the whole cluster.
func (a admission) lists(ctx context.Context, token, namespace string) (int, error) {
	for _, resource := range []string{"maildomains", "dnszones"} {
		q := door.Access{Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: resource, Namespace: namespace}
		if status, err := a.door.Ask(ctx, token, q); err != nil || status != http.StatusOK {
			return status, err
		}
	}
	return http.StatusOK, nil
}
