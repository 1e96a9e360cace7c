package controllers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestAdmission lets two hosts in at a time, and wants the others to come to their turn, whatever those do
// that are in.
func TestAdmission(t *testing.T) {
	key := func(n int) hostKey {
		return hostKey{domain: types.NamespacedName{Namespace: "mail", Name: fmt.Sprint(n)}, host: "mx"}
	}
	var woken []string
	a := newAdmission(2, func(name types.NamespacedName) { woken = append(woken, name.Name) })
	now := paceNow
	expect := func(reason string, n int, in bool, wakes ...string) {
		t.Helper()
		woken = nil
		if got := a.enter(key(n), now); got != in {
			t.Errorf("%s: host %d is in: %t, want %t", reason, n, got, in)
		}
		if !slices.Equal(woken, wakes) {
			t.Errorf("%s: woken %v, want %v", reason, woken, wakes)
		}
	}
	expect("there is a place", 1, true)
	expect("there is another", 2, true)
	expect("there is none", 3, false)
	expect("nor for a fourth", 4, false)
	expect("who asks twice stands in line once", 3, false)
	expect("who is in stays in", 1, true)
	woken = nil
	a.leave(key(2), now)
	if !slices.Equal(woken, []string{"3"}) {
		t.Errorf("a place is free: woken %v, want the one that has waited longest", woken)
	}
	expect("it was let in", 3, true)
	now = now.Add(turnOf)
	expect("who does not get on makes place for who waits", 1, false, "4")
	expect("and waits itself", 1, false)
	a.leave(key(1), now)
	woken = nil
	a.leave(key(3), now)
	if len(woken) != 0 {
		t.Errorf("who left the line was let in: %v", woken)
	}
	now = now.Add(time.Hour)
	expect("who holds up nobody stays as long as it likes", 4, true)
}
