package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/dane-operator/dane-operator/internal/tlsrpt/store"
)

// checkValues says which flag has a value that cannot be used, before anything is reached or listened on.
func (o *reportsOptions) checkValues() error {
	for _, b := range []struct{ flag, value string }{
		{"https-bind-address", o.https}, {"smtp-bind-address", o.smtp}, {"lmtp-bind-address", o.lmtp},
		{"metrics-bind-address", o.metrics.address}, {"health-probe-bind-address", o.healthAddress},
	} {
		if err := checkBind(b.flag, b.value); err != nil {
			return err
		}
	}
	for _, address := range o.addresses {
		if err := checkAddress(address); err != nil {
			return err
		}
	}
	for _, n := range o.namespaces {
		if wrong := validation.IsDNS1123Label(n); len(wrong) > 0 {
			return fmt.Errorf("--namespace %q: %s", n, strings.Join(wrong, "; "))
		}
	}
	if wrong := validation.IsDNS1123Subdomain(strings.ToLower(o.greeting)); o.greeting != "" && len(wrong) > 0 {
		return fmt.Errorf("--mail-name %q: want a host name: %s", o.greeting, strings.Join(wrong, "; "))
	}
	if _, err := networks("trusted-proxy", o.proxies); err != nil {
		return err
	}
	if _, err := o.metrics.server(); err != nil {
		return err
	}
	if o.statusEvery <= 0 {
		return errors.New("--status-every is above 0: it is the pause between two writes of one status")
	}
	return o.checkCertificate()
}

// checkBind says what is wrong with an address to listen on; empty and 0 listen on none.
func checkBind(flag, address string) error {
	if address == "" || address == "0" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err == nil && host != "" && net.ParseIP(host) == nil {
		if wrong := validation.IsDNS1123Subdomain(host); len(wrong) > 0 {
			err = fmt.Errorf("%q is no address and no host name", host)
		}
	}
	if err != nil {
		return fmt.Errorf("--%s %q: want ADDRESS:PORT such as :8080: %w", flag, address, err)
	}
	return nil
}

// checkAddress says what is wrong with an address of mail: it is compared with what stands in RCPT TO (RFC 5321 section 4.1.2).
func checkAddress(address string) error {
	parsed, err := mail.ParseAddress(address)
	if err == nil && parsed.Address != address {
		err = fmt.Errorf("the address alone is %s", parsed.Address)
	}
	if err == nil {
		domain := address[strings.LastIndexByte(address, '@')+1:]
		if wrong := validation.IsDNS1123Subdomain(strings.ToLower(domain)); len(wrong) > 0 {
			err = fmt.Errorf("%q is no domain in A-labels", domain)
		}
	}
	if err != nil {
		return fmt.Errorf("--address %q: want an address such as tlsrpt@example.com: %w", address, err)
	}
	return nil
}

// checkCertificate says what is wrong with the certificate of the folder.
func (o *reportsOptions) checkCertificate() error {
	if o.certDir == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(o.certDir, "tls.crt"), filepath.Join(o.certDir, "tls.key")); err != nil {
		return fmt.Errorf("--tls-cert-dir %s: %w", o.certDir, err)
	}
	return nil
}

// dsn is how to reach the database.
func (o *reportsOptions) dsn() (string, error) {
	if o.databaseFile == "" {
		return o.database, nil
	}
	text, err := os.ReadFile(o.databaseFile)
	if err != nil {
		return "", fmt.Errorf("--database-dsn-file: %w", err)
	}
	dsn := strings.TrimSpace(string(text))
	if !store.IsPostgreSQL(dsn) {
		return "", fmt.Errorf("--database-dsn-file %s does not hold postgres://user:password@host/database", o.databaseFile)
	}
	return dsn, nil
}
