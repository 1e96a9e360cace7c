package protocols

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"testing"
)

// The ports of Postfix. Those that end in Proxy want a PROXY header.
const (
	SMTP            = "smtp"
	SMTPS           = "smtps"
	Submission      = "submission"
	SMTPProxy       = "smtp-proxy"
	SMTPSProxy      = "smtps-proxy"
	PostscreenProxy = "postscreen-proxy"
	SMTPWithoutTLS  = "smtp-without-tls"
	SMTPTLS13       = "smtp-tls13"
)

// postfixPorts are the settings of each port, beside those of main.cf.
var postfixPorts = []struct{ name, program, settings string }{
	{SMTP, "smtpd", ""},
	{SMTPS, "smtpd", "-o smtpd_tls_wrappermode=yes"},
	{Submission, "smtpd", "-o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt"},
	{SMTPProxy, "smtpd", "-o smtpd_upstream_proxy_protocol=haproxy -o smtpd_upstream_proxy_timeout=1s"},
	{SMTPSProxy, "smtpd", "-o smtpd_upstream_proxy_protocol=haproxy -o smtpd_upstream_proxy_timeout=1s -o smtpd_tls_wrappermode=yes"},
	{PostscreenProxy, "postscreen", "-o postscreen_upstream_proxy_protocol=haproxy -o postscreen_upstream_proxy_timeout=1s"},
	{SMTPWithoutTLS, "smtpd", "-o smtpd_tls_security_level=none"},
	{SMTPTLS13, "smtpd", "-o smtpd_tls_protocols=>=TLSv1.3"},
}

// PostfixOptions say what a Postfix serves.
type PostfixOptions struct {
	// Address to listen on; default 127.0.0.1.
	Address string
	// Chains that are presented: one, or two with keys of different types.
	Chains []Chain
	// Names have a chain of their own, by SNI.
	Names map[string]Chain
}

// StartPostfix starts Postfix, which takes no mail.
func StartPostfix(t testing.TB, o PostfixOptions) *Daemon {
	t.Helper()
	var names []string
	for _, p := range postfixPorts {
		names = append(names, p.name)
	}
	d := newDaemon(t, "postfix", o.Address, names...)
	for _, dir := range []string{"etc", "spool", "data"} {
		if err := os.Mkdir(d.file(dir), 0o755); err != nil { //nolint:gosec // Postfix runs under several users
			t.Fatal(err)
		}
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(d.file("data"), uid, -1); err != nil {
		t.Fatal(err)
	}
	d.write("etc/main.cf", d.postfixConf(o))
	d.write("etc/master.cf", d.postfixServices())
	postfix := find(t, "postfix")
	d.start([]string{postfix, "-c", d.file("etc"), "stop"}, postfix, "-c", d.file("etc"), "start-fg")
	return d
}

func (d *Daemon) postfixConf(o PostfixOptions) string {
	var chain bytes.Buffer
	for _, c := range o.Chains {
		chain.Write(c.Key)
		chain.Write(c.Certificates)
	}
	d.write("etc/chain.pem", chain.String())
	sni := ""
	for name, c := range o.Names {
		d.write("etc/"+name+".pem", string(c.Key)+string(c.Certificates))
		sni += fmt.Sprintf("%s %s\n", name, d.file("etc/"+name+".pem"))
	}
	d.write("etc/sni", sni)
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
inet_interfaces = %[2]s
inet_protocols = ipv4
myhostname = mx1.example.com
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject
smtpd_recipient_restrictions = reject
smtpd_tls_security_level = may
smtpd_tls_chain_files = $config_directory/chain.pem
tls_server_sni_maps = texthash:$config_directory/sni
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_event_limit_exceptions = static:all
postscreen_cache_map =
postscreen_greet_wait = 1s
maillog_file_prefixes = %[1]s
maillog_file = %[1]s/log
`, d.dir, d.At(SMTP).Addr())
}

func (d *Daemon) postfixServices() string {
	text := `postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
`
	for _, p := range postfixPorts {
		limit := "20"
		if p.program == "postscreen" {
			limit = "1"
		}
		text += fmt.Sprintf("%s inet n - n - %s %s\n %s\n", d.At(p.name), limit, p.program, p.settings)
	}
	return text
}
