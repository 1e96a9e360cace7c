// Package history is a deterministic simulator of the whole system on a fake clock: one seed makes one
// history, and the same seed makes the same history again, line by line.
//
// Inside run for real: the rollover rule (internal/rollover), and the three reconcilers (controllers) with
// their observer, prober pool, gatekeeper and decision board, assembled as the operator assembles them. A
// work queue of the simulator calls them: when RequeueAfter ends, when an object changes that they watch
// (as far as the cache shows it), and when one of them wakes another.
//
// Simulated are: the API server with resourceVersions, conflicts, live reads, and caches that lag, merge
// and start from the past (store.go, view.go, client.go); the primary and its secondaries (servers.go);
// resolvers (resolvers.go); what cert-manager does (issuer.go); replicas of mail servers and the prober's
// connections (mail.go); people (people.go, domain.go, strategy.go, secrets.go); and crashes, second leaders,
// older versions and clocks (operator.go, older.go).
//
// There are two seams to DNS. In most histories it is zone.Client (zoneclient.go). In the others (Plan.Wire) the
// real actors of internal/zone run, and speak DNS messages with the name servers over connections in memory
// (actorclient.go, wire.go, authority.go), in a bubble of testing/synctest (bubble.go).
//
// Nothing here depends on goroutines: all that happens is an event of one queue (clock.go), what goroutines of
// actors bring is put in order first, and what is random comes from the seed. Resolvers are not run one by one: what is kept is, for every answer that a
// public server ever gave, until when the longest-lived cache may hold it: two TTLs after it was last served
// (RFC 7671 section 8.1), none shorter than the floor that the DNSZone names. Every cache with another cap,
// floor or serve-stale within that bound holds a part of it, and a negative answer, from whatever cache,
// never makes a sender fail. So a check of all those answers against all chains, made whenever an answer or
// a chain appears, misses no instant: see oracle.go.
package history
