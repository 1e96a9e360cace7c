package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/kube/child"
)

// bind is one BIND that signs many zones and takes updates of TLSA records by TSIG. It listens on two
// ports, which the operator takes for two name servers: each sweep asks both.
type bind struct {
	// addresses (host:port); the first one takes the updates.
	addresses []string
	// secret of the TSIG key tsigName, in base64.
	secret string
	// zones without trailing dot, and the trust anchor of each (DS RDATA).
	zones []string
	ds    map[string]string

	dir        string
	statistics string
	cmd        *exec.Cmd
	done       <-chan struct{}
}

const tsigName = "tlsa-key"

// startBIND writes the zones, with the address of every host, and waits until all are signed.
func startBIND(dir string, zones []string, hosts []*host) (*bind, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	b := &bind{dir: dir, zones: zones, secret: base64.StdEncoding.EncodeToString(secret), ds: map[string]string{}}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return nil, fmt.Errorf("make the folder of BIND: %w", err)
	}
	// BIND would play the journals of an earlier run into the new zones, and sign only what changes.
	if err := os.Mkdir(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the folder of BIND (give -dir a new folder): %w", err)
	}
	for range 2 {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		b.addresses = append(b.addresses, fmt.Sprintf("127.0.0.1:%d", port))
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	b.statistics = fmt.Sprintf("127.0.0.1:%d", port)
	if err := b.writeFiles(hosts); err != nil {
		return nil, err
	}
	if err := b.launch(); err != nil {
		return nil, err
	}
	return b, b.waitSigned()
}

// freePort is a port that is free for TCP and UDP now.
func freePort() (int, error) {
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = p.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a port that is free for TCP and UDP: none in 20 tries")
}

func (b *bind) writeFiles(hosts []*host) error {
	byZone := map[string]*strings.Builder{}
	var conf strings.Builder
	b.writeOptions(&conf)
	for _, zone := range b.zones {
		text := &strings.Builder{}
		fmt.Fprintf(text, "$ORIGIN %s.\n$TTL 300\n@ 5 SOA ns1 hostmaster 1 3600 600 604800 5\n@ NS ns1\nns1 A 127.0.0.1\n", zone)
		byZone[zone] = text
		fmt.Fprintf(&conf, "zone %q {\n  type primary;\n  file %q;\n  dnssec-policy default;\n  inline-signing no;\n  update-policy { grant %s zonesub TLSA; };\n};\n",
			zone, zone+".db", tsigName)
	}
	for _, h := range hosts {
		fmt.Fprintf(byZone[h.zone], "%s. A %s\n", h.name, h.addr)
	}
	for zone, text := range byZone {
		if err := os.WriteFile(filepath.Join(b.dir, zone+".db"), []byte(text.String()), 0o600); err != nil {
			return fmt.Errorf("write the zone %s: %w", zone, err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "named.conf"), []byte(conf.String()), 0o600); err != nil {
		return fmt.Errorf("write named.conf: %w", err)
	}
	return nil
}

func (b *bind) writeOptions(conf *strings.Builder) {
	statisticsPort := b.statistics[strings.LastIndexByte(b.statistics, ':')+1:]
	fmt.Fprintf(conf, `key %s { algorithm hmac-sha256; secret %q; };
controls { };
statistics-channels { inet 127.0.0.1 port %s allow { 127.0.0.1; }; };
options {
  directory %q;
  pid-file "named.pid";
  session-keyfile "session.key";
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  notify no;
  tcp-clients 1000;
`, tsigName, b.secret, statisticsPort, b.dir)
	for _, a := range b.addresses {
		fmt.Fprintf(conf, "  listen-on port %s { 127.0.0.1; };\n", a[strings.LastIndexByte(a, ':')+1:])
	}
	conf.WriteString("};\n")
}

func (b *bind) launch() error {
	path, err := exec.LookPath("named")
	if err != nil {
		if path = "/usr/sbin/named"; !isFile(path) {
			return fmt.Errorf("named is not installed: apt-get install --no-install-recommends bind9: %w", err)
		}
	}
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		return fmt.Errorf("open the log of BIND: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has a descriptor of its own
	b.cmd = exec.Command(path, "-g", "-c", filepath.Join(b.dir, "named.conf"))
	b.cmd.Dir, b.cmd.Stdout, b.cmd.Stderr = b.dir, log, log
	if b.done, err = child.Start(b.cmd); err != nil {
		return fmt.Errorf("start BIND: %w", err)
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (b *bind) stop() {
	if b == nil || b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill() // its data is worth nothing afterwards
	<-b.done
}

// signTimeout is for ten thousand names on a busy machine.
const signTimeout = 5 * time.Minute

// waitSigned waits until every zone serves its DNSKEY with a signature, and notes its DS.
func (b *bind) waitSigned() error {
	deadline := time.Now().Add(signTimeout)
	for _, zone := range b.zones {
		for b.ds[zone] == "" {
			select {
			case <-b.done:
				return fmt.Errorf("BIND ended: see %s", filepath.Join(b.dir, "log"))
			default:
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("the zone %s was not signed within %s: see %s", zone, signTimeout, filepath.Join(b.dir, "log"))
			}
			if b.ds[zone] = b.anchorOf(zone); b.ds[zone] == "" {
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	return nil
}

// anchorOf is the DS RDATA of a zone whose SOA is signed; empty while it is not.
func (b *bind) anchorOf(zone string) string {
	soa, err := b.ask(zone, dns.TypeSOA)
	if err != nil || len(soa.Answer) < 2 {
		return ""
	}
	keys, err := b.ask(zone, dns.TypeDNSKEY)
	if err != nil {
		return ""
	}
	for _, rr := range keys.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.SEP != 0 {
			ds := key.ToDS(dns.SHA256)
			return fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest))
		}
	}
	return ""
}

func (b *bind) ask(name string, kind uint16) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(1232, true)
	client := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	reply, _, err := client.Exchange(m, b.addresses[0])
	return reply, err
}

// serials are the SOA serials of all zones.
func (b *bind) serials() (map[string]uint32, error) {
	out := map[string]uint32{}
	for _, zone := range b.zones {
		reply, err := b.ask(zone, dns.TypeSOA)
		if err != nil {
			return nil, fmt.Errorf("ask for the serial of %s: %w", zone, err)
		}
		for _, rr := range reply.Answer {
			if soa, ok := rr.(*dns.SOA); ok {
				out[zone] = soa.Serial
			}
		}
	}
	return out, nil
}

// dnsCounts is what BIND counted since it started.
type dnsCounts struct {
	queries, updates, tlsa int64
}

// counts reads BIND's statistics channel.
func (b *bind) counts() (dnsCounts, error) {
	response, err := http.Get("http://" + b.statistics + "/json/v1/server") //nolint:noctx // local
	if err != nil {
		return dnsCounts{}, fmt.Errorf("read the statistics of BIND: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	var said struct {
		Opcodes map[string]int64 `json:"opcodes"`
		Types   map[string]int64 `json:"qtypes"`
	}
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		return dnsCounts{}, fmt.Errorf("read the statistics of BIND: %w", err)
	}
	return dnsCounts{queries: said.Opcodes["QUERY"], updates: said.Opcodes["UPDATE"], tlsa: said.Types["TLSA"]}, nil
}
