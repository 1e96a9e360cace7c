package receive

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/utils/clock"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// How many reports a second are taken by POST, each another one, until they last in a SQLite file. Server and clients
// share the processors.
func BenchmarkPosted(b *testing.B) {
	kept, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "reports.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer kept.Close()
	intake := NewIntake(Intake{Keeper: kept, Clock: clock.RealClock{}, Subject: func(p tlsrpt.Policy) string { return p.Domain }}, 1)
	limits := Limits{PerSource: 1e9, SourceBurst: 1e9, All: 1e9, AllBurst: 1e9}
	server := httptest.NewServer(NewHandler(intake, limits, nil))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	var id atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := packed(b, strings.Replace(report, `"report-id": "1"`, fmt.Sprintf(`"report-id": "%d"`, id.Add(1)), 1))
			response, err := client.Post(server.URL, "application/tlsrpt+gzip", bytes.NewReader([]byte(body)))
			if err != nil {
				b.Error(err)
				return
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				b.Errorf("%s", response.Status)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}
