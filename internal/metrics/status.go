package metrics

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/guard"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// Status answers scrapes with the status of MailDomains.
type Status struct {
	// Reader is the cache. It is set before the first scrape.
	Reader client.Reader
	// Shard are those that are shown.
	Shard shard.Shard
	// Guard counts panics. With nil they are those of the HTTP server.
	Guard *guard.Guard
}

// Describe tells of the metrics, as a prometheus.Collector does.
func (*Status) Describe(out chan<- *prometheus.Desc) { collector(nil).Describe(out) }

// After answers what a handler of promhttp does and, in the same format, the status. The one inside has to be one that
// does not know OpenMetrics: that has an end, which nothing may follow.
//
// A scrape that comes to no good end fails as a whole, since what is missing would look as if it were gone.
func (s *Status) After(inside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		ended := s.Guard.Do(guard.Metrics, func() { err = s.answer(w, r, inside) })
		if !ended || err != nil {
			panic(http.ErrAbortHandler) // some of it may be sent: the server breaks it off, and logs nothing
		}
	})
}

// answer answers one scrape. An error is one after which the answer cannot be ended.
func (s *Status) answer(w http.ResponseWriter, r *http.Request, inside http.Handler) error {
	domains, err := s.domains(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil
	}
	out := &answer{ResponseWriter: w, zipped: takesGzip(r.Header.Values("Accept-Encoding"))}
	inside.ServeHTTP(out, uncompressed(r))
	if out.failed {
		return nil
	}
	if err := write(out, domains, wanted(r)); err != nil {
		return err
	}
	return out.end()
}

// readTimeout bounds how long a scrape waits for a cache that is not filled yet.
const readTimeout = 5 * time.Second

// domains are all MailDomains that the operator acts for. They are only to be read: they are those of the cache, without a copy of each.
func (s *Status) domains(ctx context.Context) ([]v1alpha1.MailDomain, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var list v1alpha1.MailDomainList
	if err := s.Reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the MailDomains: %w", err)
	}
	return shard.Of(s.Shard, list.Items), nil
}

// write writes the status in the format of the answer.
func write(out http.ResponseWriter, domains []v1alpha1.MailDomain, wanted func(string) bool) error {
	format := expfmt.Format(out.Header().Get("Content-Type"))
	if format.FormatType() == expfmt.TypeTextPlain {
		return writeText(out, domains, wanted)
	}
	return encode(expfmt.NewEncoder(out, format), domains, wanted)
}

// encode is for formats that only the library writes. It takes much more memory than writeText.
func encode(to expfmt.Encoder, domains []v1alpha1.MailDomain, wanted func(string) bool) error {
	registry := prometheus.NewRegistry()
	if err := registry.Register(collector(domains)); err != nil {
		return err
	}
	all, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, f := range all {
		if !wanted(f.GetName()) {
			continue
		}
		if err := to.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// wanted says which metrics are asked for: those that the query names in name[], as for promhttp, or else all.
func wanted(r *http.Request) func(string) bool {
	names := r.URL.Query()["name[]"]
	return func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
}

// uncompressed is a request whose answer is not compressed.
func uncompressed(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del("Accept-Encoding")
	return r
}
