package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// pulse is how often a stream shows that it is alive, and how soon one ends whose reader may not see the page any more,
	// beside the time for which an answer of the API server counts.
	pulse = 20 * time.Second
	// breath is the least time between two words to a browser: each has it fetch the page.
	breath = 2 * time.Second
	// writeTimeout is how long a browser may take to accept what is sent; one that takes longer is given up.
	writeTimeout = 10 * time.Second
)

// events tells a browser when something has changed, by server-sent events. They hold nothing: the browser fetches the
// page, so that everything is shown in one way and to those who may see it.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	namespace, token := r.URL.Query().Get("namespace"), p.token(r)
	if status, err := p.admission.ask(r.Context(), token, namespace); err != nil || status != http.StatusOK {
		if err != nil {
			status = http.StatusInternalServerError
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	s, err := p.hub.join(namespace)
	if err != nil {
		if !errors.Is(err, errFull) && !errors.Is(err, errClosed) {
			p.o.Log.Error(err, "nobody can be told of changes")
		}
		w.Header().Set("Retry-After", "60")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer p.hub.leave(s)
	w.Header().Set("Content-Type", "text/event-stream")
	// The limits of other requests end here: this one lasts.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	p.tell(w, r, s, func() bool {
		status, err := p.admission.ask(r.Context(), token, namespace)
		return err == nil && status == http.StatusOK
	})
}

// tell writes to a stream until its reader goes, may not read any more, or is too slow, or the operator ends.
func (p *Page) tell(w http.ResponseWriter, r *http.Request, s *stream, may func() bool) {
	control := http.NewResponseController(w)
	write := func(text string) bool {
		// A writer that knows no deadline is one of a test.
		_ = control.SetWriteDeadline(p.o.Clock.Now().Add(writeTimeout))
		_, err := fmt.Fprint(w, text)
		return err == nil && control.Flush() == nil
	}
	// What changed before the stream began is not missed: the first word comes at once.
	if !write("retry: 5000\n\nevent: changed\ndata:\n\n") {
		return
	}
	beat := p.o.Clock.NewTicker(pulse)
	defer beat.Stop()
	last := p.o.Clock.Now()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.gone:
			return
		case <-beat.C():
			if !may() || !write(": here\n\n") {
				return
			}
		case <-s.changed:
			if !p.rest(r, s, breath-p.o.Clock.Since(last)) {
				return
			}
			last = p.o.Clock.Now()
			if !write("event: changed\ndata:\n\n") {
				return
			}
		}
	}
}

// rest waits, and says whether to go on.
func (p *Page) rest(r *http.Request, s *stream, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := p.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-s.gone:
		return false
	case <-r.Context().Done():
		return false
	}
}
