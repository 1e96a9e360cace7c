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
	// maxHashing is what one proof may cost: eight names at the limit of iterations, or many more in
	// a zone without them.
	maxHashing = 8 * (MaxIterations + 1)
	// maxMessages is how many messages one question may take, those for keys and addresses included.
	maxMessages = 150
)

// work counts down the signature checks of one question.
type work struct{ checks int }

func newWork() *work { return &work{checks: maxQueryChecks} }
