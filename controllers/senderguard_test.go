package controllers

import (
	"context"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
)

// sickResolver has a fault that answers about one name bring about.
type sickResolver struct {
	senderview.Resolver
	name string
}

func (r sickResolver) Lookup(ctx context.Context, name string, qtype uint16) dnssec.Result {
	if strings.HasSuffix(name, r.name) {
		panic("a fault that what the server sent brings about")
	}
	return r.Resolver.Lookup(ctx, name, qtype)
}

// TestPanicWhileSendersAreAsked: the look ends, a view that was known stays, and the place and the slot are free again.
func TestPanicWhileSendersAreAsked(t *testing.T) {
	b := newSenderBed(t)
	g, counts := counting()
	b.r.senders.guard = g
	b.pass(2)
	known, _ := b.status()
	if known.Verdict == "" {
		t.Fatalf("nothing is known to begin with: %+v", known)
	}
	whole := b.r.senders.newResolver
	b.r.senders.newResolver = func(a []dnssec.Anchor) senderview.Resolver {
		return sickResolver{whole(a), "mx.example.net."}
	}
	b.pass(senderLooks + 1)
	if v, _ := b.status(); v.Verdict != known.Verdict {
		t.Errorf("the view is now %+v, was %+v", v, known)
	}
	if counts[2].Load() == 0 {
		t.Error("nothing is counted")
	}
	if n, m := len(b.r.senders.slots), len(b.r.senders.places); n+m > 0 {
		t.Errorf("%d slots and %d places are taken for good", n, m)
	}
}
