package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dane-operator/dane-operator/internal/metrics"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// TestStatusOfAShard: no more is shown than what the operator acts for.
func TestStatusOfAShard(t *testing.T) {
	domains := theDomains()
	own, other := domains[0].Name, domains[1].Name
	domains[0].Labels = map[string]string{"shard": "a"}
	part, err := shard.Parse("shard=a")
	if err != nil {
		t.Fatal(err)
	}
	status := &metrics.Status{Reader: domains, Shard: part}
	w := httptest.NewRecorder()
	status.After(promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if text := w.Body.String(); !strings.Contains(text, `maildomain="`+own+`"`) || strings.Contains(text, `maildomain="`+other+`"`) {
		t.Errorf("want series of %s, and none of %s:\n%.2000s", own, other, text)
	}
}
