package servers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// bind is BIND 9. What an administrator would copy is in zoneStatement, and in docs/bind.md.
type bind struct {
	port       uint16
	controlKey string
}

func newBIND(p *Primary) brand {
	return &bind{port: FreePort(p.t, p.options.Address), controlKey: newSecret(p.t)}
}

func (b *bind) prepare(p *Primary) {
	p.file("rndc.conf", fmt.Sprintf("key control-key { algorithm hmac-sha256; secret %q; };\noptions { default-key control-key; default-server %s; default-port %d; };\n",
		b.controlKey, p.options.Address, b.port))
	b.configure(p)
	p.args = []string{"-g", "-n", strconv.Itoa(max(p.options.Threads, 1)), "-c", filepath.Join(p.dir, "named.conf")}
}

func (b *bind) renotify(p *Primary) {
	b.configure(p)
	p.Control("reconfig")
}

func (b *bind) control(p *Primary, args ...string) (string, error) {
	return p.run("rndc", "", append([]string{"-c", filepath.Join(p.dir, "rndc.conf")}, args...)...)
}

// configure writes named.conf.
func (b *bind) configure(p *Primary) {
	var notify strings.Builder
	for _, s := range p.secondaries {
		fmt.Fprintf(&notify, "%s port %d key %s; ", s.Addr(), s.Port(), transferKeyName)
	}
	tls := ""
	listen := fmt.Sprintf("listen-on port %d { %s; };", p.addr.Port(), p.addr.Addr())
	if p.TLS.IsValid() {
		clients := ""
		if p.options.TLSClientCA != "" {
			clients = fmt.Sprintf("ca-file %q; ", p.options.TLSClientCA)
		}
		tls = fmt.Sprintf("tls local { cert-file %q; key-file %q; %sprotocols { TLSv1.2; TLSv1.3; }; };\n", p.options.TLSCert, p.options.TLSKey, clients)
		listen += fmt.Sprintf("\n  listen-on port %d tls local { %s; };", p.TLS.Port(), p.TLS.Addr())
	}
	if p.options.UpdateQuota > 0 {
		listen += fmt.Sprintf("\n  update-quota %d;", p.options.UpdateQuota)
	}
	p.file("named.conf", fmt.Sprintf(`key %[1]s { algorithm %[2]s; secret %[3]q; };
key %[4]s { algorithm hmac-sha256; secret %[5]q; };
key %[14]s { algorithm hmac-sha256; secret %[15]q; };
key control-key { algorithm hmac-sha256; secret %[6]q; };
controls { inet %[7]s port %[8]d allow { %[7]s; } keys { control-key; }; };
%[9]soptions {
  directory %[10]q;
  pid-file "named.pid";
  session-keyfile "session.key";
  %[11]s
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  allow-transfer { key %[4]s; };
  notify explicit;
  notify-delay 0;
  notify-source %[7]s;
  also-notify { %[12]s};
  serial-query-rate 1000;
  notify-rate 1000;
  startup-notify-rate 1000;
};
%[13]s`, updateKeyName, p.options.TSIGAlgorithm, p.TSIGSecret, transferKeyName, p.transferKey, b.controlKey,
		p.addr.Addr(), b.port, tls, p.dir, listen, notify.String(), b.zoneStatement(p)+b.beside(p), AdminName, p.adminKey))
}

func (b *bind) zoneStatement(p *Primary) string {
	name, before, inline := "default", "", "no"
	if p.options.NSEC3 {
		name = "hashed"
		before = fmt.Sprintf("dnssec-policy hashed { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; nsec3param iterations 0 optout %s salt-length 0; };\n",
			yesOrNo(p.options.OptOut))
	}
	if p.options.Rolling != nil {
		name, before = "rolling", rollingBIND(p.options.Rolling, p.options.NSEC3)
	}
	if p.options.InlineSigning {
		inline = "yes"
	}
	policy := fmt.Sprintf("dnssec-policy %s;\n  inline-signing %s;", name, inline)
	if p.options.Rolling != nil {
		policy += "\n  parental-agents { " + addresses(p.options.Rolling.Parents, " port ", "; ") + "};"
	}
	if p.options.Unsigned {
		policy = ""
		if p.options.MaxZoneTTL > 0 {
			policy = fmt.Sprintf("max-zone-ttl %d;", p.options.MaxZoneTTL)
		}
	}
	if p.options.Journal != "" {
		policy += fmt.Sprintf("\n  journal %q;", filepath.Join(p.options.Journal, "zone.jnl"))
	}
	grants := p.options.Grants
	if len(grants) == 0 {
		grants = []string{fmt.Sprintf("grant %s wildcard *.%s TLSA;", updateKeyName, p.Zone)}
	}
	grants = append(slices.Clone(grants), fmt.Sprintf("grant %s zonesub ANY;", AdminName))
	return before + fmt.Sprintf(`zone %q {
  type primary;
  file "zone.db";
  check-names ignore;
  %s
  update-policy {
    %s
  };
};
`, p.Zone, policy, strings.Join(grants, "\n    "))
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
