package zone

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestMergeAddresses(t *testing.T) {
	at := func(texts ...string) []netip.Addr {
		out := []netip.Addr{}
		for _, text := range texts {
			out = append(out, netip.MustParseAddr(text))
		}
		return out
	}
	good := Address{Addrs: at("192.0.2.1"), Signed: true}
	silent := Address{Message: "no answer: refused"}
	bare := Address{Addrs: at("192.0.2.2"), Message: "its answer does not validate"}
	none := Address{Addrs: at(), Signed: true}
	cases := []struct {
		reason           string
		found            []Address
		want             string
		complete, signed bool
		message          string
	}{
		{"servers that agree", []Address{good, good}, "[192.0.2.1]", true, true, ""},
		{"what any of them gives counts", []Address{good, {Addrs: at("192.0.2.3"), Signed: true}}, "[192.0.2.1 192.0.2.3]", true, true, ""},
		{"a silent one may give any address", []Address{good, silent}, "[192.0.2.1]", false, true, "ns1 (192.0.2.53:53): no answer: refused"},
		{"an unsigned answer is an answer", []Address{good, bare}, "[192.0.2.1 192.0.2.2]", true, false, "ns1 (192.0.2.53:53): its answer does not validate"},
		{"silence is told first, in whatever order they come", []Address{bare, silent}, "[192.0.2.2]", false, false, "ns1 (192.0.2.53:53): no answer: refused"},
		{"the first of several is told", []Address{silent, {Message: "another"}}, "[]", false, false, "ns0 (192.0.2.53:53): no answer: refused"},
		{"a host without addresses is known to be one", []Address{none, none}, "[]", true, true, "mx.example.test. has neither A nor AAAA records"},
		{"without servers nothing is known", nil, "[]", false, false, "no server of the zone is known"},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			var list []target
			for i := range c.found {
				list = append(list, target{Server: Server{Name: fmt.Sprintf("ns%d.", i), Addr: netip.MustParseAddrPort("192.0.2.53:53")}})
			}
			got := mergeAddresses("mx.example.test.", list, c.found)
			if fmt.Sprint(got.Addrs) != c.want || got.Complete != c.complete || got.Signed != c.signed || got.Message != c.message {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestWhoIsAskedForAddresses(t *testing.T) {
	cases := []struct {
		reason   string
		prepare  func(cfg *Config, down *fakeServer)
		complete bool
	}{
		{"a server that is silent", func(cfg *Config, down *fakeServer) { cfg.Static = append(cfg.Static, down.addrPort()) }, false},
		{"one that is excepted holds nothing up", func(cfg *Config, down *fakeServer) {
			cfg.Static, cfg.Ignore = append(cfg.Static, down.addrPort()), []string{down.addr}
		}, true},
		{"a hidden primary is nobody's to ask", func(cfg *Config, down *fakeServer) { cfg.Primary = down.addr }, true},
		{"one that cannot be found holds nothing up", func(cfg *Config, _ *fakeServer) { cfg.Primary = "192.0.2.54:none" }, true},
		{"a delegation that cannot be found may name any server", func(cfg *Config, down *fakeServer) {
			cfg.Delegation, cfg.Resolvers = true, []string{down.addr}
		}, false},
	}
	for _, c := range cases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			good := newFakeServer(t)
			good.rr("mx." + testZone + " 60 A 192.0.2.1")
			down := good.twin()
			good.startTCP()
			down.misbehave = toQueries(reset)
			down.startTCP()
			cfg := testConfig(good)
			cfg.Static = []netip.AddrPort{good.addrPort()}
			c.prepare(&cfg, down)
			ch := make(chan Address, 1)
			startActor(t, cfg, quick()).Addresses("mx."+testZone, func(a Address) { ch <- a })
			got := wait(t, ch)
			if got.Complete != c.complete || !got.Signed || fmt.Sprint(got.Addrs) != "[192.0.2.1]" {
				t.Errorf("got %+v", got)
			}
			if (got.Message == "") != c.complete || strings.Contains(got.Message, "192.0.2.1") {
				t.Errorf("message %q", got.Message)
			}
		})
	}
}
