package dashboard

import (
	"errors"
	"fmt"
	"sync"
)

// maxStreams is how many browsers are told of changes at once; others look by themselves once a minute.
const maxStreams = 32

// Watch has changed called with the namespace of each object that changes, until stop is called.
type Watch func(changed func(namespace string)) (stop func(), err error)

var (
	errFull   = errors.New("too many others are told of changes")
	errClosed = errors.New("the operator ends")
)

// hub tells streams that something has changed. It says no more than that, so that a stream which has not taken the word
// yet misses nothing by it, and none can hold it up. It watches while there are streams, and has no goroutine.
type hub struct {
	watch Watch

	mu      sync.Mutex
	streams map[*stream]struct{}
	stop    func()
	closed  bool
}

// stream is what one browser is told.
type stream struct {
	// namespace whose changes it is told of; empty for those of all.
	namespace string
	changed   chan struct{}
	// gone is closed when the operator ends.
	gone chan struct{}
}

func newHub(w Watch) *hub { return &hub{watch: w, streams: map[*stream]struct{}{}} }

// join begins a stream.
func (h *hub) join(namespace string) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, errClosed
	case len(h.streams) >= maxStreams:
		return nil, errFull
	}
	if len(h.streams) == 0 {
		stop, err := h.watch(h.tell)
		if err != nil {
			return nil, fmt.Errorf("watch MailDomains and DNSZones: %w", err)
		}
		h.stop = stop
	}
	s := &stream{namespace: namespace, changed: make(chan struct{}, 1), gone: make(chan struct{})}
	h.streams[s] = struct{}{}
	return s, nil
}

// leave ends a stream, and with the last one the watch.
func (h *hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
	if len(h.streams) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// tell tells those whom a change concerns.
func (h *hub) tell(namespace string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		if s.namespace != "" && s.namespace != namespace {
			continue
		}
		select {
		case s.changed <- struct{}{}:
		default: // it has not taken the last one yet
		}
	}
}

// close ends all streams, and admits no more.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	for s := range h.streams {
		close(s.gone)
	}
}
