package main

// mutant is one way to break the product: a text of a file is replaced by another.
type mutant struct {
	name, file, old, new string
	// why says what goes wrong with it.
	why string
	// test is what kills it where the simulator is not the one to find it: the arguments of go test, from the
	// root of the repository.
	test []string
}

func rule(run string) []string    { return []string{"./internal/rollover", "-run", run} }
func control(run string) []string { return []string{"./controllers", "-run", run} }

var mutants = []mutant{
	{
		name: "one TTL", file: "internal/rollover/versions.go",
		old: "return max(2*p.ttl(v), p.ttl(v)+p.PublishSafety)", new: "return max(p.ttl(v), p.PublishSafety)",
		why: "a cache behind a cache holds an answer for two TTLs",
	},
	{
		name: "the primary's word", file: "internal/rollover/versions.go",
		old: `if !a.Reachable || a.Ignored || a.Alias != "" {`, new: `if !a.Reachable || a.Ignored || a.Alias != "" || !a.Primary {`,
		why: "secondaries still show what the primary has replaced",
	},
	{
		name: "the old TTL is forgotten", file: "internal/rollover/versions.go",
		old: "return !v.Unknown && v.TTL == a.CacheTTL && slices.Equal(v.Records, a.Records)", new: "return !v.Unknown && slices.Equal(v.Records, a.Records)",
		why:  "who cached an answer before its TTL changed keeps it for the TTL it had",
		test: rule("Trap"),
	},
	{
		name: "silence is absence", file: "internal/rollover/versions.go",
		old: "return !a.Ignored && (!a.Reachable || p.DNSSECRequired && !a.Signed)", new: "return !a.Ignored && a.Reachable && p.DNSSECRequired && !a.Signed",
		why:  "a server that does not answer may still serve the old records to senders",
		test: rule("Trap"),
	},
	{
		name: "history begins with the operator", file: "internal/rollover/versions.go",
		old: "return []Version{{Owner: o.Name, Unknown: true, FirstSeen: s.End, LastSeen: s.End}}", new: "return nil",
		why:  "caches hold what stood before the first look, or before the status was lost",
		test: rule("Trap"),
	},
	{
		name: "at rest nothing is remembered", file: "internal/rollover/versions.go",
		old: "if len(sweeps) == 0 && o.Last != nil && !remembers(versions, *o.Last) {", new: "if false {",
		why:  "a status that is deleted while nothing moves takes with it what stands in DNS",
		test: rule("WhileAtRest"),
	},
	{
		name: "before green", file: "internal/rollover/deploy.go",
		old: "		case !o.InSync:\n", new: "		case false:\n",
		why:  "a server that was not asked yet, or differs, gives answers without the key",
		test: rule("Trap"),
	},
	{
		name: "no evidence", file: "internal/rollover/retire.go",
		old: "} else if t.GoneRounds < max(p.Sweeps, 1) {", new: "} else if t.GoneRounds < 0 {",
		why: "an endpoint that has not loaded the new key still presents the old one",
	},
	{
		name: "gone at once", file: "internal/rollover/retire.go",
		old: "safety := max(2*r.longestTTL(), p.RetireSafety)", new: "safety := time.Duration(0)",
		why:  "an endpoint behind a load balancer may be missed by a few probes",
		test: rule("Trap"),
	},
	{
		name: "unread is gone", file: "internal/rollover/retire.go",
		old: "case !r.f.KeysComplete:", new: "case false:",
		why:  "what could not be read may name the key that is served",
		test: rule("Trap"),
	},
	{
		name: "foreign records are ours", file: "internal/rollover/publish.go",
		old: "		if !r.foreignMayGo(o) {\n", new: "		if false {\n",
		why: "another cluster's records are taken out",
	},
	{
		name: "the cache's word", file: "controllers/gather.go",
		old: "if err := r.decide(run, h); err != nil || !h.dropsKeys() {", new: "if err := r.decide(run, h); true {",
		why:  "a cache that lags does not show a request, and its key's records go",
		test: control("TestCacheThatLagsDropsNoKey"),
	},
	{
		name: "the shortest hop", file: "controllers/following.go",
		old: "max(a.CacheTTL, link.CacheTTL), max(a.AliasTTL, link.CacheTTL)", new: "min(a.CacheTTL, link.CacheTTL), max(a.AliasTTL, link.CacheTTL)",
		why:  "each hop of an answer is cached on its own, the longest counts",
		test: control("TestAliasesAreFollowedAsASenderDoes"),
	},
	{
		name: "conflicts are success", file: "controllers/maildomain_controller.go",
		old: "return false, client.IgnoreNotFound(ignoreConflict(err))\n	}\n	logDecision", new: "return true, nil\n	}\n	logDecision",
		why:  "what is written to DNS must stand in the status first",
		test: control("Status|Store|Conflict|Lost"),
	},
	{
		name: "an old sweep after an update", file: "controllers/observer.go",
		old: "	w.stale = true\n", new: "",
		why:  "what was seen before an update says nothing of what stands after it",
		test: control("Publish|Observer|Stale|Sweep"),
	},
	{
		name: "the standby key is never replaced", file: "controllers/act.go",
		old: `if standby == "" || inUse || compromised[standby] || !fits {`, new: `if standby == "" || compromised[standby] || !fits {`,
		why: "after a rollover there is no next key",
	},
}
