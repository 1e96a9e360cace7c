package cases

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	lua "github.com/yuin/gopher-lua"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
)

// TestHealthInPipelines leads a MailDomain through its life, and wants Flux and Helm (kstatus) and Argo CD (its health
// script) to say at each station what a person would: above all that a rollover is nothing to wait for, nor wrong.
func TestHealthInPipelines(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.address(mx)
	s.certificate("mx1", mx)
	s.domain("example", mx, nil, "mx1")
	s.healthIs(kstatus.FailedStatus, "Degraded") // nobody can write its records: there is no DNSZone

	zone := s.createZone()
	s.wait("example", settled)
	s.healthIs(kstatus.CurrentStatus, "Healthy")

	key := lab.CurrentKey(s.wait("example", settled), mx)
	s.must(s.lab.Renew(t.Context(), s.lab.Namespace, "mx1"))
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		s.healthStays(md)
		if lab.CurrentKey(md, mx) == key {
			return "the old key is still in use"
		}
		return settled(md)
	})

	s.suspend(true)
	s.healthIs(kstatus.CurrentStatus, "Suspended") // for kstatus there is nothing to wait for
	s.suspend(false)
	s.healthIs(kstatus.CurrentStatus, "Healthy")

	// What takes longer than propagation.timeout is not routine any more.
	eventually(t, func() string {
		s.must(s.lab.Client.Get(t.Context(), client.ObjectKeyFromObject(zone), zone))
		zone.Spec.Propagation.Timeout = "2s"
		if err := s.lab.Client.Update(t.Context(), zone); err != nil {
			return err.Error()
		}
		return ""
	})
	s.silence(true)
	s.edit(func(md *v1alpha1.MailDomain) { md.Spec.TLSA.TTL++ })
	s.healthIs(kstatus.InProgressStatus, "Progressing", "Degraded")
	s.healthIs(kstatus.InProgressStatus, "Degraded")
	md, err := s.lab.Domain(t.Context(), "example")
	s.must(err)
	s.must(s.lab.Client.Delete(t.Context(), md))
	s.healthIs(kstatus.TerminatingStatus, "Progressing") // no name server answers, so its records cannot go
	s.silence(false)
	eventually(t, func() string {
		if err := s.lab.Client.Get(t.Context(), client.ObjectKeyFromObject(md), md); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("it is still there: %v", err)
		}
		return ""
	})
	s.must(s.lab.Client.Get(t.Context(), client.ObjectKeyFromObject(zone), zone))
	if state, argo := s.health(zone); state != kstatus.CurrentStatus || argo != "Healthy" {
		t.Errorf("the zone is %s, and %s for Argo CD: %+v", state, argo, zone.Status.Conditions)
	}
}

// silence has both name servers not answer, or answer again.
func (s *site) silence(on bool) {
	for _, server := range s.nameServers {
		if on {
			server.Pause()
		} else {
			server.Resume()
		}
	}
}

// healthIs waits until the MailDomain is in a state for kstatus, and in one of those given for Argo CD.
func (s *site) healthIs(want kstatus.Status, argo ...string) {
	s.Helper()
	eventually(s.T, func() string {
		md, err := s.lab.Domain(s.Context(), "example")
		s.must(err)
		state, said := s.health(md)
		for _, a := range argo {
			if state == want && said == a {
				return ""
			}
		}
		return fmt.Sprintf("it is %s, and %s for Argo CD, want %s and %v: %+v", state, said, want, argo, md.Status.Conditions)
	})
}

// healthStays fails as soon as a rollover makes the MailDomain anything but well.
func (s *site) healthStays(md *v1alpha1.MailDomain) {
	s.Helper()
	if state, said := s.health(md); state != kstatus.CurrentStatus || said != "Healthy" {
		s.Errorf("in a rollover it is %s, and %s for Argo CD: %+v", state, said, md.Status.Conditions)
	}
}

// health is what kstatus and the script for Argo CD say of an object.
func (s *site) health(o client.Object) (kstatus.Status, string) {
	s.Helper()
	kind := "MailDomain"
	if _, ok := o.(*v1alpha1.DNSZone); ok {
		kind = "DNSZone"
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	s.must(s.lab.Client.Get(s.Context(), client.ObjectKeyFromObject(o), u))
	result, err := kstatus.Compute(u)
	s.must(err)
	script, err := os.ReadFile(filepath.Join("..", "..", "hack", "argocd", "health.lua"))
	s.must(err)
	said, message, err := argoHealth(string(script), u)
	s.must(err)
	if message == "" {
		s.Fatal("the script says nothing")
	}
	return result.Status, said
}

// argoHealth is what a health script of Argo CD says of an object.
func argoHealth(script string, u *unstructured.Unstructured) (status, message string, err error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// Argo CD opens these libraries alone, and an os of its own, which the script does not use.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", toLua(state, u.Object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	said, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script says %v", state.Get(-1))
	}
	return said.RawGetString("status").String(), said.RawGetString("message").String(), nil
}

// toLua turns what JSON holds into what Argo CD gives its scripts.
func toLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		out := state.NewTable()
		for key, item := range v {
			out.RawSetString(key, toLua(state, item))
		}
		return out
	case []any:
		out := state.NewTable()
		for _, item := range v {
			out.Append(toLua(state, item))
		}
		return out
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}
