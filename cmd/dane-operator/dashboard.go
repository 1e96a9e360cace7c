package main

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/dane-operator/dane-operator/internal/dashboard"
	"github.com/dane-operator/dane-operator/internal/door"
	"github.com/dane-operator/dane-operator/internal/shard"
)

// dashboardOptions say where the page is served.
type dashboardOptions struct {
	address string
	certDir string
}

func (d *dashboardOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.address, "dashboard-address", "0", "`ADDRESS:PORT` to serve a page on that shows all mail servers and zones, to those whom the API server knows by their token and lets list these; without TLS on a loopback address, which kubectl port-forward reaches, and with TLS on others; needs the right to create TokenReviews and SubjectAccessReviews; 0 serves none")
	f.StringVar(&d.certDir, "dashboard-cert-dir", "", "`FOLDER` with tls.crt and tls.key for the page; they are read again when they change. Default: a certificate that it signs itself at each start")
}

var errCertWithoutPage = errors.New("--dashboard-cert-dir needs --dashboard-address: without it no page is served")

// off says that no page is served.
func (d *dashboardOptions) off() bool { return d.address == "" || d.address == "0" }

// server makes what serves the page; nil when none is wanted.
func (d *dashboardOptions) server(ctx context.Context, mgr ctrl.Manager, namespaces []string, part shard.Shard, log logr.Logger) (*dashboard.Server, error) {
	if d.off() {
		if d.certDir != "" {
			return nil, errCertWithoutPage
		}
		return nil, nil
	}
	reviewer, err := door.NewReviewer(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	page, err := dashboard.New(dashboard.Options{
		Reader: mgr.GetClient(), Door: door.New(reviewer, clock.RealClock{}), Watch: dashboard.WatchCache(ctx, mgr.GetCache()),
		Namespaces: namespaces, Shard: part, Clock: clock.RealClock{}, Random: rand.Reader, Secure: d.secure(), Log: log.WithName("dashboard"),
	})
	if err != nil {
		return nil, err
	}
	return &dashboard.Server{Page: page, Address: d.address, CertDir: d.certDir}, nil
}

// secure says whether the page is served over TLS: where anybody but the pod itself may reach it.
func (d *dashboardOptions) secure() bool { return d.certDir != "" || !dashboard.Loopback(d.address) }
