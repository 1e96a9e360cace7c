package zone

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/dnssec"
	"github.com/dane-operator/dane-operator/internal/guard"
)

// DialFunc opens a connection; network is "tcp" or "udp".
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Options are what an Actor needs beside its configuration. The zero value of every field works.
type Options struct {
	// Clock for message times, signature validity and waits between read-backs. Network deadlines
	// run on the real clock. Default: the real clock.
	Clock clock.WithTicker
	// Dial opens connections; the default is a net.Dialer.
	Dial DialFunc
	// Logger says what is sent where, at level 1. Never a secret.
	Logger logr.Logger
	// Guard keeps a panic with one server or owner from ending the process: it then counts as one that gave no
	// answer. Default: none, and a panic ends the process.
	Guard *guard.Guard
	// Rand makes message IDs; the default is the system's secure source.
	Rand func() uint16

	// NewResolver gives what validates from trust anchors down; for the same anchors it may give the same. It
	// is used for zones without an anchor of their own, and for the signals of RFC 9615. Default: none.
	// Then such zones are Indeterminate, and there are no signals.
	NewResolver func(anchors []dnssec.Anchor) Resolver

	// Allowed are networks where servers may be asked whose addresses stand in DNS alone, beside public addresses: those
	// of a delegation, of the parent zone, and of who wants to be notified. Configured ones may be anywhere. Default: none.
	Allowed []netip.Prefix

	// Ceiling of queries a second for each name server, shared by the actors of all zones. Default: none.
	Ceiling *Ceiling

	// Connections that are open to each address, counted with those of all who share it. Default: those of
	// the process.
	Connections *Connections

	// DialTimeout is for connecting to the primary. Default 5s.
	DialTimeout time.Duration
	// UpdateTimeout is how long the primary may take over one message. BIND has been seen to stall
	// for 11 s; what is cut off is ambiguous and costs a read-back. Default 20s.
	UpdateTimeout time.Duration
	// QueryTimeout is how long a server may be silent in a sweep before it counts as unreachable.
	// Default 3s.
	QueryTimeout time.Duration
	// ReadBackFor is how long a primary may show the old RRset after it said NOERROR: BIND with
	// inline-signing acknowledges before it serves. Default 2s.
	ReadBackFor time.Duration
	// DiscoveryEvery is how old the servers found by delegation may be. Default 5m. A whole set that
	// cannot be refreshed at all is used for DiscoveryKeep. Default 1h.
	DiscoveryEvery, DiscoveryKeep time.Duration
}

// BatchSize is how many RRsets go into one update message at most: the best of 1, 50 and 200 on BIND,
// Knot and PowerDNS alike.
const BatchSize = 50

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
	if o.Rand == nil {
		o.Rand = randomID
	}
	if o.Connections == nil {
		o.Connections = ofProcess
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.DialTimeout, 5 * time.Second}, {&o.UpdateTimeout, 20 * time.Second},
		{&o.QueryTimeout, 3 * time.Second}, {&o.ReadBackFor, 2 * time.Second},
		{&o.DiscoveryEvery, 5 * time.Minute}, {&o.DiscoveryKeep, time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

func randomID() uint16 {
	var b [2]byte
	// crypto/rand.Read never fails on the systems this runs on (Go 1.24 and later).
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint16(b[:])
}
