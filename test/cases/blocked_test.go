package cases

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/test/lab"
	"github.com/dane-operator/dane-operator/test/mail"
)

// TestPortThatIsBlocked has the way to the mail server blocked, as many networks block port 25: nothing is published for a server that
// nobody has seen, it is not said that the server has no certificate or another one, and the message says what may be the
// matter. When the way is open all goes on by itself.
func TestPortThatIsBlocked(t *testing.T) {
	t.Parallel()
	s := newSite(t, "example.test", "mx1-tls")
	s.createZone()
	s.address(mx)
	s.certificate("mx1", mx)
	addr, open := blocked(t)
	var err error
	_, s.port, err = lab.SplitAddr(addr)
	s.must(err)
	s.domain("example", mx, nil, "mx1")
	s.wait("example", func(md *v1alpha1.MailDomain) string {
		verified := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionServersVerified)
		if verified == nil || verified.Status != metav1.ConditionUnknown {
			return "the condition ServersVerified to be Unknown"
		}
		p := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRecordsPublished)
		if p == nil || p.Reason != v1alpha1.ReasonWaitingForServers {
			return "the first publication to wait for the server"
		}
		if !strings.Contains(p.Message, addr+": no connection in time: the server is down, or the port is blocked on the way") {
			return "its message to say what may be the matter, not: " + p.Message
		}
		return ""
	})
	if have := s.tlsa(s.owner(mx)); len(have) > 0 {
		t.Errorf("records were published for a server that nobody has seen: %v", have)
	}
	open()
	server, err := mail.Start(addr, func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }, 0)
	s.must(err)
	t.Cleanup(server.Stop)
	s.wait("example", settled)
}

// blocked is an address whose queue of connections is full: the kernel lets a SYN go unanswered, as a firewall does that blocks the
// port. open frees it.
func blocked(t *testing.T) (addr string, open func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	closers := []func(){func() { _ = syscall.Close(fd) }}
	open = func() {
		for _, c := range closers {
			c()
		}
		closers = nil
	}
	t.Cleanup(func() { open() })
	at := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	err = errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1), syscall.Bind(fd, at), syscall.Listen(fd, 0))
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	for range 16 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr, open
		}
		closers = append(closers, func() {
			_ = c.(*net.TCPConn).SetLinger(0) // no TIME_WAIT: the port is listened on again
			_ = c.Close()
		})
	}
	t.Fatal("the queue of the socket does not fill")
	return "", nil
}
