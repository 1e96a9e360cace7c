package main

import (
	"crypto/tls"
	"errors"
	"net/http"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/dane-operator/dane-operator/internal/door"
	"github.com/dane-operator/dane-operator/internal/metrics"
)

// metricsOptions say where metrics are served, and to whom.
type metricsOptions struct {
	address string
	secure  bool
	certDir string
}

func (m *metricsOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.address, "metrics-bind-address", "0", "`ADDRESS:PORT` to serve Prometheus metrics on; 0 serves none")
	f.BoolVar(&m.secure, "metrics-secure", false, "serve metrics over TLS, and only to those whom the API server knows by their bearer token and lets get /metrics; needs the right to create TokenReviews and SubjectAccessReviews")
	f.StringVar(&m.certDir, "metrics-cert-dir", "", "`FOLDER` with tls.crt and tls.key for --metrics-secure; they are read again when they change. Default: a certificate that it signs itself at each start")
}

var errCertWithoutTLS = errors.New("--metrics-cert-dir needs --metrics-secure: without it metrics are served without TLS")

// server is the metrics server that they ask for.
func (m *metricsOptions) server() (metricsserver.Options, error) {
	out := metricsserver.Options{BindAddress: m.address}
	switch {
	case m.certDir != "" && !m.secure:
		return out, errCertWithoutTLS
	case m.secure:
		out.SecureServing, out.CertDir = true, m.certDir
		out.FilterProvider = door.Provider(clock.RealClock{})
		// HTTP/2 would let anybody who reaches the port open many streams before he is asked who he is (CVE-2023-44487).
		out.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos, c.MinVersion = []string{"http/1.1"}, tls.VersionTLS12 }}
	}
	return out, nil
}

type filterProvider = func(*rest.Config, *http.Client) (metricsserver.Filter, error)

// withStatus has the metrics server answer the status too, to those whom a filter lets pass; nil lets everybody.
func withStatus(provide filterProvider, status *metrics.Status) filterProvider {
	return func(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
		filter := func(_ logr.Logger, inside http.Handler) (http.Handler, error) { return inside, nil }
		if provide != nil {
			given, err := provide(config, client)
			if err != nil {
				return nil, err
			}
			filter = given
		}
		return func(log logr.Logger, inside http.Handler) (http.Handler, error) {
			return filter(log, status.After(inside))
		}, nil
	}
}
