package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

// atRest are so many MailDomains of one host whose rollover rests with a standby key, as most are.
func atRest(n int) cached {
	status := v1alpha1.MailServerStatus{
		SenderView: &v1alpha1.SenderViewStatus{Verdict: v1alpha1.SenderDANE},
		Keys: []v1alpha1.KeyStatus{
			{Certificate: "mx1", Role: v1alpha1.RoleCurrent, NotAfter: at(20)},
			{Certificate: "mx1", Role: v1alpha1.RoleNext, DeployableAt: at(5)},
		},
		Nameservers: []v1alpha1.NameserverSync{{InSync: true}, {InSync: true}},
		Endpoints:   []v1alpha1.EndpointStatus{{Verified: true, SPKISHA256: "00"}},
	}
	one := v1alpha1.MailDomainStatus{NextTransition: &v1alpha1.Transition{Time: at(15)}}
	for _, c := range []string{"Ready", "RecordsPublished", "EndpointsVerified", "RolloverInProgress", "RolloverSafe", "Stalled"} {
		one.Conditions = append(one.Conditions, metav1.Condition{Type: c, Status: metav1.ConditionTrue, Reason: "AReasonOfUsualLength"})
	}
	var out cached
	for i := range n {
		status.Hostname = fmt.Sprintf("mx.domain-%d.example", i)
		one.MailServers = []v1alpha1.MailServerStatus{status}
		out = append(out, domain(fmt.Sprintf("domain-%d", i), *one.DeepCopy(), nil))
	}
	return out
}

// BenchmarkScrape takes the time and the memory of one scrape of ten thousand MailDomains, as Prometheus asks for it.
func BenchmarkScrape(b *testing.B) {
	status := &metrics.Status{Reader: atRest(10_000)}
	handler := status.After(promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{}))
	for _, row := range []struct{ name, field string }{
		{"text", "Accept-Encoding: identity"}, {"gzip", "Accept-Encoding: gzip"}, {"protobuf", protobuf},
	} {
		b.Run(row.name, func(b *testing.B) {
			request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			name, value, _ := strings.Cut(row.field, ": ")
			request.Header.Set(name, value)
			b.ReportAllocs()
			for b.Loop() {
				sink := &nowhere{header: http.Header{}}
				handler.ServeHTTP(sink, request)
				b.ReportMetric(float64(sink.octets)/1e6, "MB/answer")
			}
		})
	}
}

// nowhere counts what is answered.
type nowhere struct {
	header http.Header
	octets int
}

func (n *nowhere) Header() http.Header { return n.header }
func (n *nowhere) WriteHeader(int)     {}
func (n *nowhere) Write(p []byte) (int, error) {
	n.octets += len(p)
	return len(p), nil
}
