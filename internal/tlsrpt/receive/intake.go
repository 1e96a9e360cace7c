// Package receive takes TLS reports in: by HTTPS POST and by mail (RFC 8460, section 5). It is the part that faces
// the outside. It decides what is looked at, how much of it and how often, and who is believed; what it takes goes to a
// Keeper. It changes nothing else: a report never leads from here to a change of DNS.
package receive

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/semaphore"
	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// Keeper keeps reports so that they last, and says whether a report was new.
type Keeper interface {
	Add(context.Context, store.Item) (bool, error)
}

// Channel is the way that a report came in.
type Channel string

// The channels.
const (
	HTTPS Channel = "https"
	Mail  Channel = "mail"
)

// Channels are all of them.
func Channels() []Channel { return []Channel{HTTPS, Mail} }

// Outcome is what became of a report.
type Outcome string

// The outcomes.
const (
	// Kept is a report that is new and about a name of ours.
	Kept Outcome = "kept"
	// Known is a report that was kept before.
	Known Outcome = "known"
	// Foreign is a report about other people's names alone.
	Foreign Outcome = "foreign"
	// Malformed is what is no report, TooLarge what is larger than one may be.
	Malformed Outcome = "malformed"
	TooLarge  Outcome = "too-large"
	// Unproved is a report by mail without a signature that counts (RFC 8460, section 3).
	Unproved Outcome = "unproved"
	// Limited is what was not looked at, because too much came.
	Limited Outcome = "limited"
	// Failed is a report that could not be kept; the sender is told to send it again.
	Failed Outcome = "failed"
)

// Outcomes are all of them.
func Outcomes() []Outcome {
	return []Outcome{Kept, Known, Foreign, Malformed, TooLarge, Unproved, Limited, Failed}
}

// Event is something that came.
type Event struct {
	Channel Channel
	Outcome Outcome
	// Item is the report, as far as it was read, and where it came from.
	Item store.Item
	// Err says why it was not kept; nil where the outcome says all.
	Err error
}

// Intake is what both channels share. It is safe for use by many goroutines.
type Intake struct {
	Keeper Keeper
	Clock  clock.PassiveClock
	// Subject is the name of ours that a policy is about; empty when it is about none.
	Subject func(tlsrpt.Policy) string
	// Observe is told of everything that came. It may be nil.
	Observe func(Event)
	// slots bound how many reports are unpacked and read at once, and thus the memory that they take; waiting bounds
	// the bytes of those that are being received, or wait for a slot.
	slots   chan struct{}
	waiting *semaphore.Weighted
}

// maxWaiting is how many bytes of reports are held that have not been unpacked. A sender who finds no room waits, and
// comes again later if that takes too long.
const maxWaiting = 16 << 20

// NewIntake makes an Intake that works on so many reports at once.
func NewIntake(i Intake, atOnce int) *Intake {
	i.slots, i.waiting = make(chan struct{}, atOnce), semaphore.NewWeighted(maxWaiting)
	return &i
}

// errBusy is given when no slot became free while the sender waited.
var errBusy = errors.New("too many reports at once")

// room waits until there is room for so many bytes. Whoever has got room gives it back by calling free.
func (i *Intake) room(ctx context.Context, bytes int64) (free func(), err error) {
	if err := i.waiting.Acquire(ctx, bytes); err != nil {
		return nil, errBusy
	}
	return func() { i.waiting.Release(bytes) }, nil
}

// take unpacks and reads what came, and keeps what is about names of ours. The error says what is wrong, in words fit
// for the sender; what is wrong with the keeper is in it too, and is not.
func (i *Intake) take(ctx context.Context, channel Channel, packed []byte, origin store.Origin) (Outcome, error) {
	item, outcome, err := i.read(ctx, packed)
	item.Origin = origin
	if outcome == "" {
		outcome, err = i.keep(ctx, item)
	}
	i.observe(Event{Channel: channel, Outcome: outcome, Item: item, Err: err})
	return outcome, err
}

// read makes an item of what came. The outcome is empty when it is to be kept.
func (i *Intake) read(ctx context.Context, packed []byte) (store.Item, Outcome, error) {
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	case <-ctx.Done():
		return store.Item{}, Limited, errBusy
	}
	data, err := tlsrpt.Unpack(packed)
	if errors.Is(err, tlsrpt.ErrTooLarge) {
		return store.Item{}, TooLarge, err
	}
	if err != nil {
		return store.Item{}, Malformed, err
	}
	report, err := tlsrpt.Parse(data)
	if err != nil {
		return store.Item{}, Malformed, err
	}
	item := store.Item{Report: report}
	ours := false
	for _, p := range report.Policies {
		subject := i.Subject(p)
		item.Subjects = append(item.Subjects, subject)
		ours = ours || subject != ""
	}
	if !ours {
		return item, Foreign, nil
	}
	return item, "", nil
}

func (i *Intake) keep(ctx context.Context, item store.Item) (Outcome, error) {
	added, err := i.Keeper.Add(ctx, item)
	switch {
	case err != nil:
		return Failed, fmt.Errorf("the report could not be kept: %w", err)
	case added:
		return Kept, nil
	}
	return Known, nil
}

func (i *Intake) observe(e Event) {
	if i.Observe != nil {
		i.Observe(e)
	}
}
