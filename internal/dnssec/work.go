package dnssec

// Limits on work: an answer that asks for more is hostile or broken (CVE-2023-50387, KeyTrap, and
// CVE-2023-50868).
const (
	// MaxKeys, MaxDS and MaxSignatures are how many DNSKEY records and DS records of a zone, and signatures over one
	// RRset, are looked at. Of more none is: each costs work before any signature is checked.
	MaxKeys       = 64
	MaxDS         = 64
	MaxSignatures = 32
	// maxKeysPerTag keys of one tag and algorithm are tried.
	maxKeysPerTag = 4
	// maxChecks signature checks may be spent on one RRset, maxQueryChecks on one question.
	maxChecks      = 8
	maxQueryChecks = 64
	// maxHops aliases are followed.
	maxHops = 16
	// MaxIterations is the most that an NSEC3 record may have to be looked at (RFC 9276 section 3.2). What records
	// with more would prove is insecure. Others stop at 50 (BIND 9.20, Knot Resolver, PowerDNS Recursor), 100
	// (systemd-resolved) or 150 (unbound, BIND 9.18).
	MaxIterations = 100
	// maxHashing is how often all the proofs of one answer may hash: for sixteen names at the limit of iterations, or for
	// many more in a zone without any. maxQueryHashing is that of one question, with the zones on the way down to it.
	maxHashing      = 16 * (MaxIterations + 1)
	maxQueryHashing = 4 * maxHashing
	// maxMessages is how many messages one question may take, those for keys and addresses included.
	maxMessages = 150
)

// work counts down what one answer, or one question, may cost: signature checks, and hashing for NSEC3.
type work struct {
	checks, hashing int
	// hashes that were computed; what costs nothing any more does not count again.
	hashes map[hashed]string
}

// newWork is that of one answer, newQueryWork that of a question with all that is asked for its sake.
func newWork() *work { return newWorkOf(maxHashing) }

func newQueryWork() *work { return newWorkOf(maxQueryHashing) }

func newWorkOf(hashing int) *work {
	return &work{checks: maxQueryChecks, hashing: hashing, hashes: map[hashed]string{}}
}

// OneAnswer gives the same keys for one answer of a server: all that is checked with them may cost together what an
// answer may (CVE-2023-50387, CVE-2023-50868), where every call on others may cost as much. They are for one goroutine.
func (k *Keys) OneAnswer() *Keys {
	out := *k
	out.work = newWork()
	return &out
}

// budget is what a check may cost.
func (k *Keys) budget() *work {
	if k.work != nil {
		return k.work
	}
	return newWork()
}
