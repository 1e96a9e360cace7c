package protocols

import (
	"fmt"
	"strings"
	"testing"
)

// The ports of Dovecot. Those that end in -proxy want a PROXY header.
const (
	IMAP       = "imap"
	IMAPS      = "imaps"
	IMAPProxy  = "imap-proxy"
	IMAPSProxy = "imaps-proxy"
	POP3       = "pop3"
	POP3S      = "pop3s"
	POP3Proxy  = "pop3-proxy"
	POP3SProxy = "pop3s-proxy"
	Sieve      = "sieve"
	SieveProxy = "sieve-proxy"
)

// DovecotOptions say what a Dovecot serves.
type DovecotOptions struct {
	// Address to listen on; default 127.0.0.1.
	Address string
	// Chains that are presented: one, or two with keys of different types.
	Chains []Chain
	// Names have a chain of their own, by SNI.
	Names map[string]Chain
	// NoTLS turns TLS off, and the ports that start with it.
	NoTLS bool
	// Settings are more lines of the configuration, which win over those here.
	Settings string
}

// StartDovecot starts Dovecot 2.3.
func StartDovecot(t testing.TB, o DovecotOptions) *Daemon {
	t.Helper()
	ports := []string{IMAP, IMAPProxy, POP3, POP3Proxy, Sieve, SieveProxy}
	if !o.NoTLS {
		ports = append(ports, IMAPS, IMAPSProxy, POP3S, POP3SProxy)
	}
	d := newDaemon(t, "dovecot", o.Address, ports...)
	d.write("dovecot.conf", d.dovecotConf(o))
	d.start([]string{find(t, "doveadm"), "-c", d.file("dovecot.conf"), "stop"}, find(t, "dovecot"), "-F", "-c", d.file("dovecot.conf"))
	return d
}

// dovecotConf is the configuration. Nobody can log in: there is a password database since Dovecot does
// not start without, and it has nobody in it.
func (d *Daemon) dovecotConf(o DovecotOptions) string {
	d.write("nobody", "")
	text := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = %[1]s/log
protocols = imap pop3 sieve
listen = %[2]s
ssl = yes
haproxy_trusted_networks = %[2]s
haproxy_timeout = 1s
passdb {
  driver = passwd-file
  args = %[1]s/nobody
}
userdb {
  driver = passwd-file
  args = %[1]s/nobody
}
`, d.dir, d.At(IMAP).Addr())
	for i, prefix := range []string{"ssl", "ssl_alt"} {
		if i < len(o.Chains) {
			text += d.chainSettings(prefix, fmt.Sprint(i), o.Chains[i])
		}
	}
	for name, chain := range o.Names {
		// Without the last two lines the second chain of all names would be one of this name too.
		text += fmt.Sprintf("local_name %s {\n%sssl_alt_cert =\nssl_alt_key =\n}\n", name, d.chainSettings("ssl", name, chain))
	}
	if o.NoTLS {
		text += "ssl = no\n"
	}
	text += d.listeners("imap-login", IMAP, IMAPS, IMAPProxy, IMAPSProxy)
	text += d.listeners("pop3-login", POP3, POP3S, POP3Proxy, POP3SProxy)
	text += d.listeners("managesieve-login", Sieve, SieveProxy)
	return text + o.Settings
}

func (d *Daemon) chainSettings(prefix, name string, chain Chain) string {
	d.write(name+".pem", string(chain.Certificates))
	d.write(name+".key", string(chain.Key))
	return fmt.Sprintf("%[1]s_cert = <%[2]s.pem\n%[1]s_key = <%[2]s.key\n", prefix, d.file(name))
}

func (d *Daemon) listeners(service string, ports ...string) string {
	text := "service " + service + " {\n"
	for _, port := range ports {
		if _, ok := d.ports[port]; !ok {
			text += fmt.Sprintf("  inet_listener %s {\n    port = 0\n  }\n", port) // else it is the usual one
			continue
		}
		kind := strings.TrimSuffix(port, "-proxy")
		text += fmt.Sprintf("  inet_listener %s {\n    port = %d\n", port, d.At(port).Port())
		if kind == IMAPS || kind == POP3S {
			text += "    ssl = yes\n"
		}
		if kind != port {
			text += "    haproxy = yes\n"
		}
		text += "  }\n"
	}
	return text + "}\n"
}
