// Package shard says which MailDomains and DNSZones an operator acts for, where several operators share a cluster.
package shard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Shard is the part of all MailDomains and DNSZones that one operator acts for: those whose labels its selector matches. The
// others it knows as well, since they may own a host or hold a Certificate, and it writes nothing to them. The zero value is
// all of them.
type Shard struct {
	// selector is nil for all; text is how it is told of.
	selector labels.Selector
	text     string
}

// Parse reads a selector as kubectl takes it. An empty one is for everything.
func Parse(text string) (Shard, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Shard{}, nil
	}
	selector, err := labels.Parse(text)
	if err != nil {
		return Shard{}, fmt.Errorf("%q is no label selector, such as mail.dane-operator.io/shard=a: %w", text, err)
	}
	return Shard{selector: selector, text: text}, nil
}

// Has says whether the operator acts for an object.
func (s Shard) Has(o metav1.Object) bool {
	return s.selector == nil || s.selector.Matches(labels.Set(o.GetLabels()))
}

// Of are those of some objects that the operator acts for. It takes the place of the list.
func Of[T any, P interface {
	*T
	metav1.Object
}](s Shard, all []T) []T {
	if s.All() {
		return all
	}
	kept := all[:0]
	for i := range all {
		if s.Has(P(&all[i])) {
			kept = append(kept, all[i])
		}
	}
	return kept
}

// All says that the operator acts for everything that it sees.
func (s Shard) All() bool { return s.selector == nil }

// String is the selector as it was given; empty for all.
func (s Shard) String() string { return s.text }

const (
	// leasePrefix and leaseSuffix are what the names of all leases of operators begin and end with.
	leasePrefix = "dane-operator"
	leaseSuffix = ".mail.dane-operator.io"
	// leaseDigest is how many hexadecimal digits tell the leases of shards from each other.
	leaseDigest = 10
)

// LeaseName is the name of the lease that the replicas of an operator contend for. It follows from what the selector means,
// so that two shards in one namespace never share one, and replicas that write their selector otherwise do.
func (s Shard) LeaseName() string {
	if s.All() {
		return leasePrefix + leaseSuffix
	}
	sum := sha256.Sum256([]byte(s.meaning()))
	return leasePrefix + "-" + hex.EncodeToString(sum[:])[:leaseDigest] + leaseSuffix
}

// IsLease says whether a lease is one of an operator, by its name.
func IsLease(name string) bool {
	digest, ok := strings.CutPrefix(name, leasePrefix)
	if digest, ok2 := strings.CutSuffix(digest, leaseSuffix); ok && ok2 {
		return digest == "" || digest[0] == '-' && len(digest) == leaseDigest+1
	}
	return false
}

// meaning is the same for all selectors that say the same with other signs, or in another order.
func (s Shard) meaning() string {
	requirements, _ := s.selector.Requirements()
	var out []string
	for _, r := range requirements {
		operator := r.Operator()
		switch operator {
		case selection.Equals, selection.DoubleEquals:
			operator = selection.In
		case selection.NotEquals:
			operator = selection.NotIn
		}
		out = append(out, fmt.Sprintf("%s %s (%s)", r.Key(), operator, strings.Join(slices.Sorted(slices.Values(r.Values().UnsortedList())), ",")))
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ";")
}
