package soak

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/dane-operator/dane-operator/test/mail"
)

// latest is how late a mail server has a new certificate, as a pod whose Secret the kubelet refreshes.
const latest = 10 * time.Second

// mailServer is one listener that is the mail server of every host: it presents, by the name that a client asks for,
// what the host has loaded.
type mailServer struct {
	addr  netip.AddrPort
	hosts map[string]*mounted // by the Secret that they mount
	names map[string]*mounted // by host name
}

// mounted is what a host has loaded of its Secret.
type mounted struct {
	mu sync.Mutex
	// newest is how many versions of the Secret there were, and loaded which of them is presented.
	newest, loaded int
	pem            []byte
	presented      *tls.Certificate
}

func startMail(w *world) *mailServer {
	w.Helper()
	s := &mailServer{hosts: map[string]*mounted{}, names: map[string]*mounted{}}
	for _, h := range w.hosts {
		m := &mounted{}
		s.hosts[h.serving()], s.names[h.name] = m, m
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	w.must(err)
	s.addr = listener.Addr().(*net.TCPAddr).AddrPort()
	server := smtp.NewServer(mail.Refusing)
	server.Domain = "mail.test"
	server.ReadTimeout, server.WriteTimeout = 30*time.Second, 30*time.Second
	server.ErrorLog = log.New(io.Discard, "", 0) // probes break connections off
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.present}
	go func() { _ = server.Serve(listener) }()
	w.Cleanup(func() { _ = server.Close() })
	s.watch(w)
	return s
}

func (s *mailServer) present(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	m := s.names[hello.ServerName]
	if m == nil {
		return nil, fmt.Errorf("no host %q", hello.ServerName)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.presented == nil {
		return nil, fmt.Errorf("%s has no certificate yet", hello.ServerName)
	}
	return m.presented, nil
}

// watch follows the Secrets, over every outage of the API server.
func (s *mailServer) watch(w *world) {
	w.Helper()
	secrets, err := cache.New(w.lab.Config, cache.Options{DefaultNamespaces: map[string]cache.Config{w.lab.Namespace: {}}})
	w.must(err)
	informer, err := secrets.GetInformer(w.Context(), &corev1.Secret{}, cache.BlockUntilSynced(false))
	w.must(err)
	seen := func(object any) {
		secret, ok := object.(*corev1.Secret)
		if m := s.hosts[secret.GetName()]; ok && m != nil {
			m.take(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: seen, UpdateFunc: func(_, now any) { seen(now) }})
	w.must(err)
	go func() { _ = secrets.Start(w.Context()) }()
	if !secrets.WaitForCacheSync(w.Context()) {
		w.Fatal("the mail servers cannot watch their Secrets")
	}
}

// take has a version of the Secret loaded within latest, unless a newer one is loaded first.
func (m *mounted) take(certificate, key []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(certificate) == 0 || bytes.Equal(certificate, m.pem) {
		return
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return // half-way through a change
	}
	m.pem = certificate
	m.newest++
	version := m.newest
	time.AfterFunc(rand.N(latest), func() { //nolint:gosec // no secret
		m.mu.Lock()
		defer m.mu.Unlock()
		if version > m.loaded {
			m.loaded, m.presented = version, &pair
		}
	})
}
