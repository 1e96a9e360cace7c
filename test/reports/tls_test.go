package reports

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/emersion/go-smtp"
	"k8s.io/client-go/util/cert"
)

// overTLS takes reports as they come where nothing stands before the program: by HTTPS in both forms, and by SMTP from a sender that
// says STARTTLS.
func (r *rig) overTLS() {
	r.Helper()
	folder := r.TempDir()
	chain, key, err := cert.GenerateSelfSignedCertKey("localhost", nil, nil)
	if err != nil {
		r.Fatal(err)
	}
	for file, text := range map[string][]byte{"tls.crt": chain, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(folder, file), text, 0o600); err != nil {
			r.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain)
	trusting := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	s, listen := newSender(r), freeAddress(r)
	one := r.startIn(s.namespace(), "tls", "--database", filepath.Join(folder, "reports.db"), "--tls-cert-dir", folder, "--smtp-bind-address", listen)

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting}}
	for kind, body := range map[string][]byte{
		"application/tlsrpt+json": []byte(report("1", "example.com")), "application/tlsrpt+gzip": packed(r.T, report("2", "example.com")),
	} {
		response, err := client.Post("https://"+one.at+"/v1/tlsrpt", kind, bytes.NewReader(body))
		if err != nil {
			r.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			r.Errorf("%s: %s", kind, response.Status)
		}
	}
	one.counts(keptReports(2))

	conn, err := net.Dial("tcp", listen)
	if err != nil {
		r.Fatal(err)
	}
	c, err := smtp.NewClientStartTLS(conn, trusting)
	if err != nil {
		r.Fatal(err)
	}
	if err := c.Hello("sender.example"); err != nil {
		r.Fatal(err)
	}
	if state, ok := c.TLSConnectionState(); !ok || !state.HandshakeComplete {
		r.Error("the connection is not encrypted")
	}
	s.say(c, report("3", "example.com"))
	one.counts(`dane_operator_tls_reports_total{channel="mail",outcome="kept"} 1`)
}
