package cases

import (
	"context"
	"errors"
	"net"
	"os"
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
	server := mail.Serve(open(), func() ([]byte, []byte) { return s.lab.TLSSecret(context.Background(), "mx1-tls") }, 0)
	t.Cleanup(server.Stop)
	s.wait("example", settled)
}

// blocked is an address whose queue of connections is full: the kernel lets a SYN go unanswered, as a firewall does that
// blocks the port. open is the same socket with room in its queue: it is never closed, so nobody else can take its port.
func blocked(t *testing.T) (addr string, open func() net.Listener) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(fd), "blocked")
	t.Cleanup(func() { _ = socket.Close() })
	at := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(syscall.Bind(fd, at), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	waiting := full(t, addr)
	return addr, func() net.Listener {
		for _, c := range waiting {
			_ = c.Close()
		}
		l, err := net.FileListener(socket)
		if err := errors.Join(err, syscall.Listen(fd, syscall.SOMAXCONN)); err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// full are the connections that fill the queue of a socket.
func full(t *testing.T, addr string) []net.Conn {
	t.Helper()
	var waiting []net.Conn
	for range 16 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return waiting
		}
		t.Cleanup(func() { _ = c.Close() })
		waiting = append(waiting, c)
	}
	t.Fatal("the queue of the socket does not fill")
	return nil
}
