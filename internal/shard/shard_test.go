package shard

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func labelled(labels map[string]string) metav1.Object { return &metav1.ObjectMeta{Labels: labels} }

func parsed(t *testing.T, text string) Shard {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestHas: a selector means what it means to kubectl, and none is for everything.
func TestHas(t *testing.T) {
	const key = "mail.dane-operator.io/shard"
	a, b, none := map[string]string{key: "a"}, map[string]string{key: "b"}, map[string]string{"team": "mail"}
	for _, row := range []struct {
		selector      string
		a, b, without bool
	}{
		{"", true, true, true},
		{"  ", true, true, true},
		{key + "=a", true, false, false},
		{key + " == a", true, false, false},
		{key + "!=a", false, true, true},
		{key, true, true, false},
		{"!" + key, false, false, true},
		{key + " in (a, c)", true, false, false},
		{key + "=b,team=mail", false, false, false},
	} {
		s := parsed(t, row.selector)
		for _, c := range []struct {
			labels map[string]string
			want   bool
		}{{a, row.a}, {b, row.b}, {none, row.without}} {
			if got := s.Has(labelled(c.labels)); got != c.want {
				t.Errorf("%q has %v: %t, want %t", row.selector, c.labels, got, c.want)
			}
		}
		if all := strings.TrimSpace(row.selector) == ""; s.All() != all || s.Has(labelled(nil)) != row.without {
			t.Errorf("%q: all %t, want %t; without labels %t, want %t", row.selector, s.All(), all, s.Has(labelled(nil)), row.without)
		}
	}
	if !(Shard{}).Has(labelled(a)) {
		t.Error("the zero value is not for everything")
	}
}

// TestOf: those of a list that it has, in their order.
func TestOf(t *testing.T) {
	list := func() []metav1.ObjectMeta {
		return []metav1.ObjectMeta{{Name: "one", Labels: map[string]string{"shard": "a"}}, {Name: "two"}, {Name: "three", Labels: map[string]string{"shard": "a"}}}
	}
	names := func(of []metav1.ObjectMeta) string {
		var out []string
		for _, o := range of {
			out = append(out, o.Name)
		}
		return strings.Join(out, " ")
	}
	for selector, want := range map[string]string{"": "one two three", "shard=a": "one three", "!shard": "two", "shard=b": ""} {
		if got := names(Of(parsed(t, selector), list())); got != want {
			t.Errorf("%q has %q, want %q", selector, got, want)
		}
	}
}

// TestWrongSelectors are refused with what a right one looks like.
func TestWrongSelectors(t *testing.T) {
	for _, text := range []string{"a in b", "=", "shard in (a", "a b", "-x=1"} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), "shard=a") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestLeaseName: one lease for what means the same, another for each other selector, and without one the lease of before.
func TestLeaseName(t *testing.T) {
	if name := parsed(t, "").LeaseName(); name != "dane-operator.mail.dane-operator.io" {
		t.Errorf("without a selector the lease is %s", name)
	}
	names := map[string]string{}
	for _, same := range [][]string{
		{"a=1", "a==1", " a in (1)", "a=1,a=1"}, {"a!=1", "a notin (1)"}, {"a in (1,2)", "a in (2, 1)"},
		{"a=1,b=2", "b=2,a=1"}, {"a"}, {"!a"}, {"a=2"}, {"b=1"}, {"a>1"}, {"a<1"},
	} {
		name := parsed(t, same[0]).LeaseName()
		if other, taken := names[name]; taken {
			t.Errorf("%s and %s have one lease", other, same[0])
		}
		names[name] = same[0]
		if !IsLease(name) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			t.Errorf("the lease of %s is %s", same[0], name)
		}
		for _, text := range same {
			if got := parsed(t, text).LeaseName(); got != name {
				t.Errorf("%s and %s mean the same, and their leases are %s and %s", same[0], text, name, got)
			}
		}
	}
	for name, want := range map[string]bool{
		"dane-operator.mail.dane-operator.io": true, "dane-operator-0123456789.mail.dane-operator.io": true,
		"dane-operator-reports.mail.dane-operator.io": false, "cert-manager-controller": false, "dane-operator": false,
	} {
		if IsLease(name) != want {
			t.Errorf("%s is taken for the lease of an operator: %t", name, !want)
		}
	}
}
