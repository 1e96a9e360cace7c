package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dane-operator/dane-operator/test/servers"
)

// An administrator has frozen the zone, to edit its file, and forgets it: the new key waits, and the condition
// says how to go on. That is rndc's own freeze: BIND alone has it.
func TestFrozenZone(t *testing.T) { only(t, servers.BIND, frozenZone) }

func frozenZone(t *testing.T, m servers.Make) {
	s := gated(t, m, false)
	s.primary.Control("freeze", s.primary.Zone)
	s.refusedUntil("rndc thaw", func() { s.primary.Control("thaw", s.primary.Zone) })
	s.verdict()
}

// The disk that the primary keeps its journal on is full: it refuses updates and serves what it has. The kit can put the
// journal of BIND alone elsewhere.
func TestFullDisk(t *testing.T) { only(t, servers.BIND, fullDisk) }

func fullDisk(t *testing.T, m servers.Make) {
	disk := smallDisk(t)
	s := newSiteWith(t, m, "mx1-tls", siteOptions{primary: func(_ *site, o *servers.Options) { o.Journal = disk }})
	s.gated(false)
	s.showsOne()
	filler := fill(t, disk)
	s.exhaustJournal()
	s.refusedUntil("SERVFAIL", func() { s.must(os.Remove(filler)) })
	s.verdict()
}

// refusedUntil renews while the primary refuses updates. That changes no records, holds the key back and is
// said; when it is mended the rollover goes on.
func (s *site) refusedUntil(says string, mend func()) {
	s.Helper()
	s.showsOne()
	published := s.published()
	before := s.startRenewal()
	s.heldUntil(time.Now().Add(caches+time.Second), func() error { return s.unchanged(published) })
	s.complains(s.primary.Addr.String(), says)
	mend()
	s.heldUntil(s.changesFrom(published).Add(caches))
	s.settleBeyond(before, false)
}

// smallDisk is a file system of its own, of 64 KiB, that everybody may write to.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0777"); err != nil {
		t.Fatalf("a small disk cannot be mounted (root can): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return dir
}

// fill leaves no room on a disk, and returns the file that takes it.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	file, err := os.Create(path) //nolint:gosec // in the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 4096)
	for range 64 {
		if _, err := file.Write(block); err != nil {
			return path
		}
	}
	t.Fatal("the small disk is larger than it should be")
	return path
}

// exhaustJournal writes into the zone until its journal takes no more: the last block of the file has room. What it
// writes at last is less than a change of TLSA records.
func (s *site) exhaustJournal() {
	s.Helper()
	c := &dns.Client{Net: "tcp", Timeout: patience, TsigSecret: map[string]string{servers.AdminName + ".": s.primary.AdminSecret()}}
	for i := range 50 {
		m := new(dns.Msg)
		m.SetUpdate(s.primary.Zone)
		m.Insert([]dns.RR{&dns.TXT{
			Hdr: dns.RR_Header{Name: "filler." + s.primary.Zone, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1},
			Txt: []string{fmt.Sprint(i)},
		}})
		m.SetTsig(servers.AdminName+".", dns.HmacSHA256, 300, time.Now().Unix())
		r, _, err := c.Exchange(m, s.primary.Addr.String())
		s.must(err)
		if r.Rcode == dns.RcodeServerFailure {
			return
		}
	}
	s.Fatal("the primary takes updates although there is no room for its journal")
}
