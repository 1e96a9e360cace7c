package main

// ofVersions break what is remembered of answers that caches may hold.
var ofVersions = []mutant{
	{
		name: "one TTL", file: "internal/rollover/versions.go",
		old: "return max(2*p.ttl(v), p.ttl(v)+p.PublishSafety)", new: "return max(p.ttl(v), p.PublishSafety)",
		why:  "a cache behind a cache holds an answer for two TTLs",
		test: rule("Traps"),
	},
	{
		name: "the primary's word", file: "internal/rollover/versions.go",
		old: `if !a.Reachable || a.Ignored || a.Alias != "" {`, new: `if !a.Reachable || a.Ignored || a.Alias != "" || !a.Primary {`,
		why:  "secondaries still show what the primary has replaced",
		test: rule("Traps"),
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
		test: rule("Silence"),
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
		name: "what was planned never was", file: "internal/rollover/versions.go",
		old: "if o.Refused {", new: "if true {",
		why:  "an update that was sent, and not answered, may stand",
		test: rule("Fold"),
	},
	{
		name: "an outage is no matter", file: "internal/rollover/versions.go",
		old: "versions = restartSoak(versions, s, p)", new: "_ = restartSoak",
		why:  "resolvers serve what is stale while no server answers (RFC 8767)",
		test: rule("Fold"),
	},
	{
		name: "one sweep is proof", file: "internal/rollover/versions.go",
		old: "if v.AbsentSweeps >= max(p.Sweeps, 1) {", new: "if v.AbsentSweeps >= 1 {",
		why:  "behind one address there are several servers",
		test: rule("Traps"),
	},
	{
		name: "sweeps that began before count", file: "internal/rollover/versions.go",
		old: "if versions[i].Open && !seen[i] && !s.Start.Before(versions[i].FirstSeen) {", new: "if versions[i].Open && !seen[i] {",
		why:  "a server that was asked before the update says nothing of what came after",
		wire: true,
		test: rule("Fold"),
	},
	{
		name: "the delay is forgotten", file: "internal/rollover/versions.go",
		old: "v.AbsentSince.Add(p.Delay)", new: "v.AbsentSince",
		why:  "anycast servers that are not asked serve it for longer",
		test: rule("Traps"),
	},
	{
		name: "caches have no floor", file: "internal/rollover/versions.go",
		old: "func (p Policy) ttl(v Version) time.Duration { return max(v.TTL, p.TTLFloor) }", new: "func (p Policy) ttl(v Version) time.Duration { return v.TTL }",
		why:  "some caches keep everything for a while, whatever its TTL",
		test: rule("Traps"),
	},
	{
		name: "what is not known harms nobody", file: "internal/rollover/versions.go",
		old: "\tif v.Unknown {\n\t\treturn true\n\t}\n\tif len(v.Records)", new: "\tif v.Unknown {\n\t\treturn false\n\t}\n\tif len(v.Records)",
		why:  "what stood before the first look may lack the key",
		test: rule("Traps|Lost"),
	},
	{
		name: "one combination is enough", file: "internal/rollover/versions.go",
		old: "\t\tif !has {\n\t\t\treturn true\n", new: "\t\tif !has {\n\t\t\treturn false\n",
		why:  "a sender may know one combination alone (RFC 7671 section 8)",
		test: rule("Traps"),
	},
	{
		name: "no digest agility", file: "internal/rollover/versions.go",
		old: "setsOursAside := strong && accounted(w) && hasSet(v.Records, w)", new: "setsOursAside := strong && accounted(w) && false",
		why:  "somebody else's SHA-512 sets our SHA-256 aside (RFC 7671 section 9)",
		test: rule("Agility|Traps"),
	},
	{
		name: "closed versions are forgotten", file: "internal/rollover/versions.go",
		old: "return !v.Open && !now.Before(v.LastSeen.Add(p.soak(v)))", new: "return !v.Open",
		why:  "caches hold what servers do not show any more",
		test: rule("Traps"),
	},
	{
		name: "unsigned answers prove absence", file: "internal/rollover/versions.go",
		old: "(!a.Reachable || p.DNSSECRequired && !a.Signed)", new: "!a.Reachable",
		why:  "anybody may have sent an answer without a signature",
		test: rule("Traps|Silence"),
	},
}

// ofDeployment break what a new key waits for.
var ofDeployment = []mutant{
	{
		name: "before green", file: "internal/rollover/deploy.go",
		old: "		case !o.InSync:\n", new: "		case false:\n",
		why:  "a server that was not asked yet, or differs, gives answers without the key",
		test: rule("Trap"),
	},
	{
		name: "deployed while suspended", file: "internal/rollover/deploy.go",
		old: "\tcase p.Suspended:\n\t\treturn WaitSuspended, \"suspended: \" + key", new: "\tcase false:\n\t\treturn WaitSuspended, \"suspended: \" + key",
		why:  "a person has asked for nothing to happen",
		test: rule("Suspended"),
	},
	{
		name: "compromised keys are deployed", file: "internal/rollover/deploy.go",
		old: "case t.compromised(p):", new: "case false:",
		why:  "somebody else has the key",
		test: rule("Traps"),
	},
	{
		name: "what is served is not waited for", file: "internal/rollover/deploy.go",
		old: "\t\t\tif v.Open {\n\t\t\t\treturn time.Time{}, false\n\t\t\t}\n\t\t\tat = later", new: "\t\t\tif v.Open {\n\t\t\t\tcontinue\n\t\t\t}\n\t\t\tat = later",
		why:  "a server still gives answers without the key",
		test: rule("Traps"),
	},
	{
		name: "the last of the waits instead of the longest", file: "internal/rollover/deploy.go",
		old: "at = later(at, v.LastSeen.Add(r.f.Policy.soak(v)))", new: "at = v.LastSeen.Add(r.f.Policy.soak(v))",
		why:  "an older version with a longer TTL is cached for longer",
		test: rule("Longest"),
	},
	{
		name: "an old sweep opens", file: "internal/rollover/deploy.go",
		old: "if !r.fresh(o) || !allReachable(*o.last) {", new: "if o.last == nil {",
		why:  "a server may show something else by now",
		test: rule("Traps|Silent"),
	},
	{
		name: "the zone need not be Secure", file: "internal/rollover/deploy.go",
		old: "case p.DNSSECRequired && r.f.DNSSEC.State != dnssec.Secure:", new: "case false && p.DNSSECRequired && r.f.DNSSEC.State != dnssec.Secure:",
		why:  "senders that cannot validate do not find the key",
		test: rule("Traps"),
	},
	{
		name: "changes of the keys of the zone are no matter", file: "internal/rollover/deploy.go",
		old: "case p.DNSSECRequired && r.f.DNSSEC.KeysChanging:", new: "case false:",
		why:  "a resolver may not be able to validate the new records",
		test: rule("Traps"),
	},
	{
		name: "signatures that run out are no matter", file: "internal/rollover/deploy.go",
		old: "if a.SignatureExpires.Sub(r.now) < r.signatureLife(a) {", new: "if false {",
		why:  "the records are of no use once their signatures have run out",
		test: rule("Traps"),
	},
	{
		name: "Hold proceeds", file: "internal/rollover/deploy.go",
		old: "if !p.Proceed || t.stage == StageStandby {", new: "if t.stage == StageStandby {",
		why:  "DANE senders ignore expiry, and the user has chosen to wait",
		test: rule("Deadline"),
	},
	{
		name: "a denial of a named key harms nobody", file: "internal/rollover/named.go",
		old: "return r.f.Policy.NamedKeys && len(v.Records) == 0 || lacks(", new: "return lacks(",
		why:  "whoever verifies a signature by DKIM fails with a denial that a cache has kept",
		test: rule("Named"),
	},
	{
		name: "a second record of a named key is no matter", file: "internal/rollover/named.go",
		old: "if adds && r.taken(o) {", new: "if false {",
		why:  "what verifiers make of two records at one name is undefined",
		test: rule("NamedOwners"),
	},
	{
		name: "an old key is revoked at once", file: "internal/rollover/retire.go",
		old: "if r.removable(&t) && !r.hold(&t) && !r.revoke(&t) {", new: "if !r.revoke(&t) && r.removable(&t) && !r.hold(&t) {",
		why:  "mail that was signed with it is under way",
		test: rule("NamedKeyIsRevoked"),
	},
	{
		name: "a key that is in use again stays revoked", file: "internal/rollover/named.go",
		old: "t.RevokedSince, t.Records = time.Time{}, nil", new: "t.Records = nil",
		why:  "when it is replaced once more, its record goes at once",
		test: rule("RevokedKeyInUseAgain"),
	},
	{
		name: "a revocation that stands is nobody's", file: "internal/rollover/named.go",
		old: "t.standsAt(o.Name) && o.primaryKnown && slices.Equal(o.primary, p.Revoked)", new: "t.standsAt(o.Name) && false",
		why:  "a status that was put back makes a conflict of what the operator has written",
		test: rule("RevokedAlready"),
	},
	{
		name: "what may be held is revoked", file: "internal/rollover/named.go",
		old: "|| p.Suspended || !r.f.KeysComplete || !r.anotherIsDeployed()", new: "",
		why:  "a Secret that could not be read may hold the key, and a person has revoked it",
		test: rule("RevokedAlready"),
	},
	{
		name: "a key that was lost is given up at once", file: "internal/rollover/named.go",
		old: "if o := &r.keys[i]; r.f.Policy.NamedKeys && o.Role == roleCurrent {", new: "if o := &r.keys[i]; false {",
		why:  "the signer goes on with what it has loaded",
		test: rule("NamedKeyThatIsLost"),
	},
	{
		name: "a key to be used next is revoked", file: "internal/rollover/retire.go",
		old: `if t.Role != rolePrevious || r.f.Policy.NamedKeys && t.stage != "" {`, new: "if t.Role != rolePrevious {",
		why:  "the signer is given it, and verifiers know it as revoked",
		test: rule("UsedBeforeAndNext"),
	},
	{
		name: "all revoked keys are one", file: "internal/rollover/publish.go",
		old: "t.standsAt(o.Name) && slices.Contains(t.Records, k)", new: "slices.Contains(t.Records, k)",
		why:  "what a person has revoked is published again",
		test: rule("RevokedByAPerson"),
	},
	{
		name: "what cannot be probed presents nothing", file: "internal/rollover/parameters.go",
		old: "if !r.f.LastRound.knows(o.facts.Port) && slices", new: "if false && slices",
		why:  "after the status was lost it may present a key that a new parameter set has no record of",
		test: rule("SetWaits"),
	},
}
