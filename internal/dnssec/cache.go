package dnssec

import (
	"crypto/sha256"
	"strconv"
	"sync"

	"github.com/miekg/dns"
)

// cacheSize is how many verified signatures each half of the cache holds. A zone of ten thousand
// owners asked at six servers costs one check an owner and not six.
const cacheSize = 16384

type checkKey [sha256.Size]byte

// Cache remembers which RRset, RRSIG and DNSKEY, byte for byte, verified together. Time is no part
// of it: validity periods are compared on every use. When the newer half is full it becomes the
// older one, so what is in use stays. It is safe for use by many goroutines.
type Cache struct {
	mu           sync.Mutex
	newer, older map[checkKey]struct{}
	// verify is how a signature is checked that is not among them.
	verify check
}

// NewCache makes an empty cache.
func NewCache() *Cache {
	return &Cache{newer: map[checkKey]struct{}{}, verify: (*dns.RRSIG).Verify}
}

func (c *Cache) good(id checkKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, newer := c.newer[id]
	_, older := c.older[id]
	if !newer && !older {
		return false
	}
	if !newer {
		c.put(id)
	}
	return true
}

func (c *Cache) add(id checkKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(id)
}

func (c *Cache) put(id checkKey) {
	if len(c.newer) >= cacheSize {
		c.older, c.newer = c.newer, map[checkKey]struct{}{}
	}
	c.newer[id] = struct{}{}
}

// packing are buffers to pack records in.
var packing = sync.Pool{New: func() any {
	buf := make([]byte, dns.DefaultMsgSize)
	return &buf
}}

// checkID is a digest of everything that the signature check looks at: the TTL served is no part of
// it, and neither is the case of the owner. It says no when something cannot be packed.
func checkID(rrset []dns.RR, sig *dns.RRSIG) (checkKey, bool) {
	h := sha256.New()
	pooled, _ := packing.Get().(*[]byte)
	defer packing.Put(pooled)
	buf := *pooled
	for _, rr := range append([]dns.RR{sig}, rrset...) {
		c := dns.Copy(rr)
		c.Header().Ttl = 0
		c.Header().Name = dns.CanonicalName(c.Header().Name)
		if need := dns.Len(c) + 1; need > len(buf) {
			buf = make([]byte, need)
			*pooled = buf
		}
		n, err := dns.PackRR(c, buf, 0, nil, false)
		if err != nil {
			return checkKey{}, false
		}
		h.Write(buf[:n])
	}
	var id checkKey
	h.Sum(id[:0])
	return id, true
}

// under adds the key to the digest.
func (id checkKey) under(key *dns.DNSKEY) checkKey {
	return sha256.Sum256(append(id[:], key.Hdr.Name+" "+strconv.Itoa(int(key.Algorithm))+" "+key.PublicKey...))
}
