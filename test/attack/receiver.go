package attack

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/test/postfix"
)

// Chain is what a server presents, in PEM: its key and its certificates, the leaf first.
type Chain struct{ Key, Certificates []byte }

// Receiver is a Postfix that takes mail for anybody from anybody, and puts it into one mailbox.
type Receiver struct {
	*postfix.Instance
	t testing.TB
}

// StartReceiver starts a Receiver that presents a chain at each of some addresses.
func StartReceiver(t testing.TB, hostname string, chains map[netip.AddrPort]Chain) *Receiver {
	t.Helper()
	r := &Receiver{Instance: postfix.New(t), t: t}
	nobody := postfix.UserID(t, "nobody")
	r.Folder("mail")
	if err := os.Chown(r.File("mail"), nobody, -1); err != nil {
		t.Fatal(err)
	}
	r.Write("etc/main.cf", r.Common(hostname)+fmt.Sprintf(`smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/
virtual_mailbox_base = %s
virtual_uid_maps = static:%d
virtual_gid_maps = static:%d
`, r.File("mail"), nobody, nobody))
	services := services
	var at []netip.AddrPort
	for addr, chain := range chains {
		file := r.File(fmt.Sprintf("etc/chain-%d.pem", len(at)))
		if err := os.WriteFile(file, append(append([]byte{}, chain.Key...), chain.Certificates...), 0o600); err != nil {
			t.Fatal(err)
		}
		services += fmt.Sprintf("%s inet n - n - - smtpd\n -o smtpd_tls_chain_files=%s\n", addr, file)
		at = append(at, addr)
	}
	r.Write("etc/master.cf", services)
	r.Start(at...)
	return r
}

// Has says whether a mail with a text in it has been taken.
func (r *Receiver) Has(text string) bool {
	r.t.Helper()
	files, err := filepath.Glob(r.File("mail/all/new/*"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, file := range files {
		mail, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			r.t.Fatal(err)
		}
		if strings.Contains(string(mail), text) {
			return true
		}
	}
	return false
}

// services are what mail passes through in Postfix, with no service that listens for it.
const services = `postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
virtual unix - n n - - virtual
`
