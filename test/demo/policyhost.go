package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/test/operator"
)

// This file is about the policy of MTA-STS. The receiver of TLS reports serves it, as a process where a cluster has the
// Deployment of config/reports.

const (
	policyHost   = "mta-sts." + zoneName
	policySecret = "mta-sts-tls"
	// policyAddress has port 443 for itself, where nothing else of this machine is likely to be: senders fetch policies from
	// no other port (RFC 8461 section 3.3).
	policyAddress = "127.0.0.78"
)

// closed says why we may not listen there; empty where we may.
func closed(address string) string {
	l, err := net.Listen("tcp", address)
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// policyListen is what the policy host listens on.
func policyListen() string { return net.JoinHostPort(policyAddress, "443") }

// trusted is the file with the certificate that the operator and the check trust at the policy host.
func (s *stage) trusted() string { return filepath.Join(s.folder, corev1.TLSCertKey) }

// servePolicy starts the policy host, where that may be.
func (s *stage) servePolicy(ctx context.Context) error {
	if s.unserved != "" {
		s.view.log("the policy of MTA-STS is not served, and its record waits: %s (expected where port 443 takes root; on Linux \"sysctl net.ipv4.ip_unprivileged_port_start=443\" opens it to all)", s.unserved)
		return nil
	}
	if err := s.apply(ctx, "policyhost.yaml", "the certificate of the policy host of MTA-STS"); err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: policySecret}}
	err := s.lab.WaitFor(ctx, secret, 3*time.Minute, func() string {
		if len(secret.Data[corev1.TLSCertKey]) == 0 || len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 {
			return "the certificate of the policy host is not issued"
		}
		return ""
	})
	if err != nil {
		return err
	}
	for _, file := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if err := os.WriteFile(filepath.Join(s.folder, file), secret.Data[file], 0o600); err != nil {
			return fmt.Errorf("write the certificate of the policy host: %w", err)
		}
	}
	s.view.log("starting the receiver of TLS reports: it serves the policy of MTA-STS at https://%s, which is %s", policyHost, policyAddress)
	_, err = operator.Reports(ctx, s.lab.Cluster, "reports", operator.Options{Args: []string{
		"--database", filepath.Join(s.folder, "reports.db"), "--tls-cert-dir", s.folder, "--https-bind-address", policyListen(),
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0",
	}})
	return err
}
