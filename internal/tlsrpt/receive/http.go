package receive

import (
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// keepWithin is how long a sender waits for its report to be read and kept.
const keepWithin = 10 * time.Second

// Handler takes reports that are posted (RFC 8460, section 5.4).
type Handler struct {
	intake *Intake
	quota  *quota
	// proxies are the networks whose word on who sent a request is taken.
	proxies []netip.Prefix
}

// NewHandler makes a Handler. trusted are the networks of the proxies before it, whose X-Forwarded-For is believed.
func NewHandler(intake *Intake, limits Limits, trusted []netip.Prefix) *Handler {
	return &Handler{intake: intake, quota: newQuota(limits, intake.Clock), proxies: trusted}
}

// mediaTypes are those that RFC 8460 names, and those that senders use in their stead.
var mediaTypes = []string{
	"application/tlsrpt+gzip", "application/tlsrpt+json",
	"application/json", "application/gzip", "application/x-gzip", "application/zip",
}

// ServeHTTP answers 200 when the report lasts, or is of no use here: its sender need not know which.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := h.client(r)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "post a report here: RFC 8460, section 5.4", http.StatusMethodNotAllowed)
		return
	}
	if !h.quota.allow(from) {
		h.limited(w, from)
		return
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(mediaTypes, kind) {
		h.refuse(w, from, Malformed, http.StatusUnsupportedMediaType, "the Content-Type is not application/tlsrpt+gzip or application/tlsrpt+json")
		return
	}
	// What is too long is refused before it is read, where the sender tells its length.
	if r.ContentLength > tlsrpt.MaxPacked {
		h.refuse(w, from, TooLarge, http.StatusRequestEntityTooLarge, tooLarge)
		return
	}
	h.read(w, r, from)
}

const tooLarge = "the report is too large: pack it with gzip"

// read reads a report once there is room for it.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, from netip.Addr) {
	ctx, cancel := context.WithTimeout(r.Context(), keepWithin)
	defer cancel()
	size := r.ContentLength
	if size < 0 {
		size = tlsrpt.MaxPacked
	}
	free, ok := h.quota.hold(from, size)
	if !ok {
		h.limited(w, from)
		return
	}
	defer free()
	free, err := h.intake.room(ctx, size)
	if err != nil {
		w.Header().Set("Retry-After", "60")
		h.refuse(w, from, Limited, http.StatusServiceUnavailable, "too many reports at once: send it again later")
		return
	}
	defer free()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tlsrpt.MaxPacked))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		h.refuse(w, from, TooLarge, http.StatusRequestEntityTooLarge, tooLarge)
	case err != nil:
		h.refuse(w, from, Malformed, http.StatusBadRequest, "the request ended early")
	default:
		h.take(ctx, w, body, from)
	}
}

func (h *Handler) take(ctx context.Context, w http.ResponseWriter, body []byte, from netip.Addr) {
	outcome, err := h.intake.take(ctx, HTTPS, body, h.origin(from))
	switch outcome {
	case Malformed:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case TooLarge:
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	case Limited, Failed:
		// What failed is told in the log and the metrics; the sender is to come again.
		w.Header().Set("Retry-After", "60")
		http.Error(w, "the report cannot be kept now: send it again", http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

func (h *Handler) origin(from netip.Addr) store.Origin {
	return store.Origin{At: h.intake.Clock.Now(), Source: from.String()}
}

func (h *Handler) limited(w http.ResponseWriter, from netip.Addr) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(h.quota.wait().Seconds()))))
	h.refuse(w, from, Limited, http.StatusTooManyRequests, "too many reports: send it again later")
}

func (h *Handler) refuse(w http.ResponseWriter, from netip.Addr, outcome Outcome, status int, why string) {
	h.intake.observe(Event{HTTPS, outcome, store.Item{Origin: h.origin(from)}, errors.New(why)})
	// What is still coming is not read: the connection is of no more use.
	w.Header().Set("Connection", "close")
	http.Error(w, why, status)
}

// client is who sent a request: the last in X-Forwarded-For that is no proxy of ours. What stands before it, anybody
// may have written.
func (h *Handler) client(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	from := at.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !h.trusted(from) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		from = next.Unmap()
	}
	return from
}

func (h *Handler) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(h.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
