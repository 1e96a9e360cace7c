package controllers

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// filler fills values with what a random source draws, and counts the leaves.
type filler struct {
	random *rand.Rand
	// change is the number of the leaf that is given another value; -1 for none.
	leaf, change int
}

func (f *filler) fill(v reflect.Value) {
	switch {
	case v.Type() == timeType:
		at := time.Unix(int64(f.number()), 0)
		if f.random.IntN(2) == 0 {
			at = at.In(time.FixedZone("elsewhere", 3600)) // the same instant
		}
		v.Set(reflect.ValueOf(metav1.Time{Time: at}))
		return
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.String:
		v.SetString(strconv.Itoa(f.number()))
	case reflect.Bool:
		v.SetBool(f.number()%2 == 0)
	default:
		v.SetInt(int64(f.number())) // ends the test with a panic when it is no number
	}
}

// number is another one for each leaf, and the same whenever it is filled again.
func (f *filler) number() int {
	n := 2 * f.leaf
	if f.leaf == f.change {
		n++
	}
	f.leaf++
	return n
}

// everyLeaf changes one leaf of a value after the other, and wants each change to be seen.
func everyLeaf[T any](t *testing.T) {
	made := func(change int) (*T, int) {
		out, f := new(T), filler{random: rand.New(rand.NewPCG(1, uint64(change+1))), change: change} //nolint:gosec // a test
		f.fill(reflect.ValueOf(out).Elem())
		return out, f.leaf
	}
	whole, leaves := made(-1)
	again, _ := made(leaves) // its times are in other zones
	if !sameStatus(whole, again) || !equality.Semantic.DeepEqual(whole, again) {
		t.Error("what is the same is found to differ")
	}
	for n := range leaves {
		if other, _ := made(n); sameStatus(whole, other) || equality.Semantic.DeepEqual(whole, other) {
			t.Errorf("a change of leaf %d of %d is not seen", n, leaves)
		}
	}
	if leaves < 20 {
		t.Errorf("there are %d leaves", leaves)
	}
}

// TestEveryChangeOfStatusIsSeen: a field that is not compared would never be written.
func TestEveryChangeOfStatusIsSeen(t *testing.T) {
	t.Run("MailDomain", everyLeaf[v1alpha1.MailDomainStatus])
	t.Run("DNSZone", everyLeaf[v1alpha1.DNSZoneStatus])
}

// TestSameStatus: what the API server does not tell apart is the same, and nothing else.
func TestSameStatus(t *testing.T) {
	at := metav1.NewTime(time.Unix(1, 0))
	type status struct {
		List []string
		At   *metav1.Time
		Map  map[string]string
	}
	for about, row := range map[string]struct {
		a, b status
		want bool
	}{
		"a list that is empty and none":    {status{List: []string{}}, status{}, true},
		"a list and the beginning of it":   {status{List: []string{"a", "b"}}, status{List: []string{"a"}}, false},
		"a list and another":               {status{List: []string{"a", "b"}}, status{List: []string{"a", "c"}}, false},
		"a time and none":                  {status{At: &at}, status{}, false},
		"a time and no instant":            {status{At: &at}, status{At: &metav1.Time{}}, false},
		"maps with the same in them":       {status{Map: map[string]string{"a": "b"}}, status{Map: map[string]string{"a": "b"}}, true},
		"maps with something else in them": {status{Map: map[string]string{"a": "b"}}, status{Map: map[string]string{"a": "c"}}, false},
	} {
		if got := sameStatus(&row.a, &row.b); got != row.want || sameStatus(&row.b, &row.a) != row.want || equality.Semantic.DeepEqual(row.a, row.b) != row.want {
			t.Errorf("%s: %t, want %t", about, got, row.want)
		}
	}
}
