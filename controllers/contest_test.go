package controllers

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

var contested = types.NamespacedName{Namespace: "mail", Name: "example"}

// at is the object of a version.
func at(version string) *v1alpha1.MailDomain {
	md := &v1alpha1.MailDomain{}
	md.Namespace, md.Name, md.ResourceVersion = contested.Namespace, contested.Name, version
	return md
}

// TestContestSlowsDown: two that write an object in turn slow each other down, and one that is alone is not slowed down.
func TestContestSlowsDown(t *testing.T) {
	now, version := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), 0
	write := func(b *contestBoard) {
		version++
		b.wrote(at(strconv.Itoa(version)), now)
	}
	var boards [2]contestBoard
	for range 100 {
		write(&boards[0])
		if wait := boards[0].wait(at(strconv.Itoa(version)), now); wait != 0 {
			t.Fatalf("alone, it waits %s", wait)
		}
	}
	writes, newest := 0, 0
	for range 10 * 60 * 20 {
		for i := range boards { // what the other one wrote is not how this one sees it
			if i != newest && boards[i].wait(at(strconv.Itoa(version)), now) == 0 {
				write(&boards[i])
				newest = i
				writes++
			}
		}
		now = now.Add(50 * time.Millisecond)
	}
	if most := 2 * 600 / 5 * 2; writes > most || writes < 100 {
		t.Errorf("%d writes in ten minutes, want no more than %d, and no less than 100", writes, most)
	}
	now = now.Add(2 * contestOver)
	if wait := boards[1].wait(at("other"), now); wait != 0 {
		t.Errorf("long after, it waits %s", wait)
	}
	edited := at("edited")
	edited.Generation = 2
	if wait := boards[1].wait(edited, now); wait != 0 {
		t.Errorf("after an edit of the spec it waits %s", wait)
	}
	boards[0].forget(contested)
	if wait := boards[0].wait(at("other"), now); wait != 0 || len(boards[0].rows) > 0 {
		t.Errorf("of one that is gone it waits %s", wait)
	}
}

// TestContestStarvesNobody: whoever changes an object all the time keeps nobody from writing it.
func TestContestStarvesNobody(t *testing.T) {
	now, writes := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), 0
	var b contestBoard
	b.wrote(at("ours"), now)
	for i := range 6000 {
		now = now.Add(100 * time.Millisecond)
		if b.wait(at(strconv.Itoa(i)), now) == 0 {
			b.wrote(at("ours"+strconv.Itoa(i)), now)
			writes++
		}
	}
	if writes < 600/6 {
		t.Errorf("%d writes in ten minutes", writes)
	}
	b.wrote(at("ours"), now)
	if wait := b.wait(at("other"), now.Add(-time.Hour)); wait != 0 {
		t.Errorf("after the clock was set back it waits %s", wait)
	}
}

// TestStatusIsNotWrittenInTurn: two operators that see a MailDomain, or a DNSZone, in different ways do not write its status as fast as
// they can, and neither gives up.
func TestStatusIsNotWrittenInTurn(t *testing.T) {
	const most = 40 // a minute; by turns it would be 300
	t.Run("MailDomain", func(t *testing.T) {
		b := newRecordBed(t, published)
		b.settle()
		ours := 0
		for range 300 {
			md := b.get()
			md.Status.NextTransition = &v1alpha1.Transition{Action: "seen otherwise"}
			if err := b.api.Status().Update(t.Context(), md); err != nil {
				t.Fatal(err)
			}
			before := b.puts
			b.reconcile()
			b.wait()
			ours += b.puts - before
			b.clock.Step(200 * time.Millisecond)
		}
		if ours > most || ours < 10 {
			t.Errorf("%d writes in a minute", ours)
		}
	})
	t.Run("DNSZone", func(t *testing.T) {
		b := newZoneBed(t)
		b.look(b.secureZone("1"))
		ours := 0
		for range 300 {
			z := b.zone()
			z.Status.DNSSEC.State = v1alpha1.DNSSECStateBogus
			b.must(b.api.Status().Update(t.Context(), z))
			b.reconcile()
			if b.zone().Status.DNSSEC.State != v1alpha1.DNSSECStateBogus {
				ours++
			}
			b.clock.Step(200 * time.Millisecond)
		}
		if ours > most || ours < 10 {
			t.Errorf("%d writes in a minute", ours)
		}
	})
}
