package probe

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// TestTimes checks that a result tells when its probe began and ended, by the clock that was given.
func TestTimes(t *testing.T) {
	began := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		reason string
		mail   func(*mail)
		addr   string
		want   Outcome
		took   time.Duration
	}{
		{"presented", nil, "", Presented, time.Minute},
		{"no TLS", func(m *mail) { m.ehlo = "250 mx1\r\n" }, "", NoTLS, time.Minute},
		{"not dialled at all", nil, "169.254.169.254:25", Forbidden, 0},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := usual()
			if tc.mail != nil {
				tc.mail(&m)
			}
			s, clock := start(t, m.startTLS), clocktesting.NewFakePassiveClock(began)
			d := newDialer(Options{Clock: clock, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				clock.SetTime(began.Add(time.Minute))
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}})
			target := s.target()
			if tc.addr != "" {
				target.Addr = netip.MustParseAddrPort(tc.addr)
			}
			got := d.Probe(context.Background(), target)
			if got.Outcome != tc.want || !got.Start.Equal(began) || !got.End.Equal(began.Add(tc.took)) {
				t.Errorf("got %s from %s to %s", got.Outcome, got.Start, got.End)
			}
		})
	}
}

// TestDefaults checks what holds when nothing is said.
func TestDefaults(t *testing.T) {
	for _, timeout := range []time.Duration{0, -time.Second} {
		o := New(Options{Timeout: timeout}).o
		if o.Timeout != 20*time.Second || o.HELO != "dane-operator.invalid" || o.Clock == nil || o.Dial == nil {
			t.Errorf("got %+v", o)
		}
	}
	d := New(Options{})
	got := d.Probe(context.Background(), Target{Addr: netip.MustParseAddrPort("127.0.0.1:25"), Protocol: SMTP})
	if got.Outcome != Forbidden || got.Start.IsZero() || got.End.Before(got.Start) {
		t.Errorf("loopback without leave: got %+v", got)
	}
}
