package main

// ofRemoval break what the records of an old key wait for, and what is told.
var ofRemoval = []mutant{
	{
		name: "the TTL of others is ours", file: "internal/rollover/publish.go",
		old: "len(o.Own) > 0 && o.primaryTTL", new: "len(o.Records) > 0 && o.primaryTTL",
		why:  "another MailDomain that takes its records out does not wait for as long as caches keep them then",
		test: rule("TestTTLOfOthersIsTheirs"),
	},
	{
		name: "no evidence", file: "internal/rollover/retire.go",
		old: "} else if t.GoneRounds < max(p.Sweeps, 1) {", new: "} else if t.GoneRounds < 0 {",
		why:  "an endpoint that has not loaded the new key still presents the old one",
		test: rule("Evidence"),
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
		name: "the last look is left out", file: "internal/rollover/retire.go",
		old: "case !r.freshlyKnown():", new: "case false:",
		why:  "an endpoint that cannot be reached any more may present the key",
		test: rule("Traps|Silence|Silent"),
	},
	{
		name: "the only key goes", file: "internal/rollover/retire.go",
		old: "case !r.anotherIsDeployed():", new: "case false:",
		why:  "no record is left that matches anything",
		test: rule("OnlyKey"),
	},
	{
		name: "the sets of a key that went are forgotten", file: "internal/rollover/retire.go",
		old: "t.Records = r.lastWitness(&t)", new: "t.Records = nil",
		why:  "caches hold answers of a set that no key is known to have",
		test: rule("."),
	},
	{
		name: "reports are not heeded", file: "internal/rollover/retire.go",
		old: "t.gone = r.removable(t) && !r.hold(t) && !r.revoke(t)", new: "t.gone = r.removable(t) && !r.revoke(t)",
		why:  "senders fail at what no probe sees, and the records that they may need go",
		test: rule("ReportsHold"),
	},
	{
		name: "reports hold for ever", file: "internal/rollover/hold.go",
		old: "if most := t.RemovableAt.Add(r.f.Policy.MaxReportHold); most.Before(until) {", new: "if most := t.RemovableAt.Add(r.f.Policy.MaxReportHold); false && most.Before(until) {",
		why:  "whoever sends reports keeps records where they are",
		test: rule("ReportsHold"),
	},
	{
		name: "reports are in the way", file: "internal/rollover/publish.go",
		old: "if r.crowded() && r.letGo() {", new: "if false && r.letGo() {",
		why:  "a new key waits for room that the records of old ones take",
		test: rule("NobodysWay"),
	},
	{
		name: "rounds with gaps count", file: "internal/rollover/keys.go",
		old: "known := r.knowsAll(ports)", new: "known := r.knowsAll(ports) || true",
		why:  "an endpoint that could not be reached may present the key",
		test: rule("Gaps"),
	},
	{
		name: "what was deployed is forgotten", file: "internal/rollover/keys.go",
		old: "t.Deployed = t.Deployed || t.stage == StageDeployed || t.presented", new: "t.Deployed = t.stage == StageDeployed || t.presented",
		why:  "an endpoint may present the key again, when it was cut off for a while",
		test: rule("Traps|State"),
	},
	{
		name: "a key without an object goes", file: "internal/rollover/keys.go",
		old: `return t.stage == "" && !t.Deployed`, new: `return t.stage == ""`,
		why:  "servers present a key after its Secret is gone",
		test: rule("Traps"),
	},
	{
		name: "unread keys go", file: "internal/rollover/hold.go",
		old: `return t.unused() && r.f.KeysComplete && !r.f.Policy.Suspended`, new: `return t.unused() && !r.f.Policy.Suspended`,
		why:  "what could not be read may name the key",
		test: rule("ForgetUnused"),
	},
	{
		name: "sets of before are forgotten", file: "internal/rollover/keys.go",
		old: "t.Records = tlsa.Normalize(append(formerRecords(t.KeyState, *held), held.Records...))", new: "t.Records = tlsa.Normalize(held.Records)",
		why:  "caches hold records of a set that has left the policy",
		test: rule("Former|Traps"),
	},
	{
		name: "whatever leaves a zone is gone", file: "internal/rollover/decide.go",
		old: "if removing && r.f.DNSSEC.Unsigned && r.f.DNSSEC.State == dnssec.Insecure && !r.f.DNSSEC.KeysChanging {", new: "if removing && r.f.DNSSEC.State != dnssec.State(\"\") {",
		why:  "whoever forges an answer makes records look gone that senders believe",
		test: rule("Traps"),
	},
	{
		name: "what leaves an unsigned zone is gone at once", file: "internal/rollover/decide.go",
		old: "&& r.f.DNSSEC.State == dnssec.Insecure && !r.f.DNSSEC.KeysChanging {", new: "&& r.f.DNSSEC.State == dnssec.Insecure {",
		why:  "caches that have the DS records yet believe what is signed",
		test: rule("Traps"),
	},
	{
		name: "dangers are not told", file: "internal/rollover/unsafe.go",
		old: "\t\t\tdanger = true\n", new: "\t\t\tdanger = false\n",
		why:  "nobody knows that senders fail",
		test: rule("Announced|Traps"),
	},
}

// ofPublication break what is written.
// ofDoubt break what is done for what is not known for sure.
var ofDoubt = []mutant{
	{
		name: "a late update is nobody's", file: "internal/rollover/versions.go",
		old: "return v.FirstSeen.Add(max(p.Delay, lateUpdate))", new: "return v.FirstSeen",
		why:  "a slow signer shows a record whose key was thrown away, and it stays for ever",
		test: rule("OwnersApart"),
	},
	{
		name: "what was seen before is not awaited", file: "internal/rollover/publish.go",
		old: "return v.Planned && v.TTL == ttl", new: "return !v.Unknown && v.TTL == ttl",
		why:  "a record that is put back is shown late, when its key has gone",
		test: rule("OwnersApart"),
	},
	{
		name: "plans outlive what comes of them", file: "internal/rollover/versions.go",
		old: "return withoutPlans(versions, carriedOut, s, p)", new: "return versions",
		why:  "an update that was carried out is awaited all the same",
		test: rule("OwnersApart"),
	},
	{
		name: "what comes no more is awaited", file: "internal/rollover/versions.go",
		old: "if v.Planned && !newest.After(v.FirstSeen) {", new: "if v.Planned {",
		why:  "keys and deletions wait for an update that something has overtaken",
		test: rule("OwnersApart"),
	},
	{
		name: "a set of authorities goes unseen", file: "internal/rollover/authorities.go",
		old: "return firstProblem(*round, o.facts.Port)", new: `return ""`,
		why:  "a server that cannot be reached comes back with a former key, which nothing matches",
		test: rule("AuthoritySet"),
	},
	{
		name: "a set of authorities goes though it is needed", file: "internal/rollover/authorities.go",
		old: "!known && slices.ContainsFunc(records, e.Matches) && !slices.ContainsFunc(rest, e.Matches) {", new: "!known && false {",
		why:  "a server that came back with a former key is matched by nothing",
		test: rule("AuthoritySet"),
	},
	{
		name: "a set of authorities goes by an old look", file: "internal/rollover/authorities.go",
		old: "if goes < 0 || r.f.Policy.ProbeDisabled || justSeen {", new: "if true || goes < 0 || justSeen {",
		why:  "a server may have come back with a former key since",
		test: rule("AuthoritySet"),
	},
	{
		name: "a set of authorities goes though something is unread", file: "internal/rollover/authorities.go",
		old: "r.f.KeysComplete && r.someKeyLacks(p)", new: "r.someKeyLacks(p)",
		why:  "what could not be read may have a record of it",
		test: rule("AuthoritySet"),
	},
	{
		name: "keys wait for a set that they cannot have", file: "internal/rollover/authorities.go",
		old: "r.f.KeysComplete && r.someKeyLacks(p)", new: "false",
		why:  "a chain without its authority has no record of it, and an endpoint is down for long",
		test: rule("AuthoritySet"),
	},
	{
		name: "a set that the user replaced stays for ever", file: "internal/rollover/authorities.go",
		old: "e.Matches != nil && !known &&", new: "e.Matches != nil && (known || !known) &&",
		why:  "what is presented by keys that are known is cared for elsewhere",
		test: rule("AuthoritySet"),
	},
	{
		name: "a set that stays comes at other ports", file: "internal/rollover/parameters.go",
		old: "if why := r.deferred[o.Name][p]; why != \"\" {", new: "if why := r.deferred[o.Name][p]; true {",
		why:  "a server there may present no authority, and nothing is published",
		test: rule("AuthoritySet"),
	},
	{
		name: "SHA-512 is known to all", file: "internal/rollover/authorities.go",
		old: "return k.MatchingType == matchingType || k.MatchingType != tlsa.MatchingSHA512", new: "return true",
		why:  "a sender need not know it, and matches nothing then",
		test: rule("AuthoritySetsOfOne|SHA512MatchesNot"),
	},
	{
		name: "new keys lack the set that stays", file: "internal/rollover/authorities.go",
		old: "for _, k := range t.leaving {", new: "for _, k := range t.leaving[:0] {",
		why:  "they wait for as long as an endpoint is not known",
		test: rule("AuthoritySet"),
	},
	{
		name: "no key is read with the set that leaves", file: "controllers/gather.go",
		old: "sets := parameterSets{wanted: params, leaving: h.leavingAuthorities(params)}", new: "sets := parameterSets{wanted: params}",
		why:  "a set that has to stay goes with the next renewal",
		test: control("NewKeysHaveRecordsOfSetsThatLeave"),
	},
	{
		name: "a set goes for room that it does not make", file: "internal/rollover/hold.go",
		old: "*r = before\n", new: "",
		why:  "whoever adds records at one name has the set go at another",
		test: rule("AuthoritySetStaysWhere|UnusedKeys"),
	},
	{
		name: "an update under way is asked for anew at each look", file: "internal/rollover/publish.go",
		old: "if !v.Open || !o.facts.Sending {", new: "if true {",
		why:  "each look writes a status, which is the next look",
		test: rule("UnderWay"),
	},
	{
		name: "a leap ends the wait for a late update", file: "internal/rollover/clock.go",
		old: "v.FirstSeen = later(v.FirstSeen, r.f.EvenSince)", new: "_ = v",
		why:  "a signer is no sooner done because a clock is set",
		test: rule("Leap"),
	},
	{
		name: "an additional digest goes in unseen", file: "internal/rollover/parameters.go",
		old: "(r.presents(k) || unknown && !slices.Contains(r.f.Policy.Additional, k))", new: "r.presents(k) && (unknown || true)",
		why:  "senders ignore the records that an endpoint may rely on which cannot be reached",
		test: rule("AdditionalDigest"),
	},
	{
		name: "an unused key keeps others out", file: "internal/rollover/parameters.go",
		old: "return t.Deployed && !t.gone && len(t.Records) > 0", new: "return (t.Deployed || t.unused()) && !t.gone && len(t.Records) > 0",
		why:  "it will never have a record of a set that takes the place of another one",
		test: rule("UnusedKeyHolds"),
	},
	{
		name: "an unused key goes unseen", file: "internal/rollover/keys.go",
		old: "!r.mayStand(&t) || r.freshlyKnown() {", new: "true {",
		why:  "a status that was put back does not know that the key is presented",
		test: rule("UnusedKey"),
	},
	{
		name: "a false alarm", file: "controllers/status.go",
		old: "if !verified && isCompared(message) && h.outdated(e.port) {", new: "if false {",
		why:  "records changed since the endpoint was probed, and so has its key",
		test: control("RecordsThatChange"),
	},
}

var ofPublication = []mutant{
	{
		name: "foreign records go unseen", file: "internal/rollover/publish.go",
		old: "	if r.f.Policy.ProbeDisabled {\n		return true\n	}\n	round := ", new: "	if true {\n		return true\n	}\n	round := ",
		why:  "an endpoint may present a key that a foreign record alone matches",
		test: rule("Foreign"),
	},
	{
		name: "foreign records are ours", file: "internal/rollover/publish.go",
		old: "		if !r.foreignMayGo(o) {\n", new: "		if false {\n",
		why:  "another cluster's records are taken out",
		test: rule("ForeignIsWritten"),
	},
	{
		name: "the first publication waits for nothing", file: "internal/rollover/publish.go",
		old: "return r.firstPublicationBlocked(o)", new: `return WaitNone, ""`,
		why:  "a record that nobody matches is an outage",
		test: rule("Traps"),
	},
	{
		name: "a worse set is written", file: "internal/rollover/publish.go",
		old: "return r.worseBlocked(o)", new: `return WaitNone, ""`,
		why:  "a chain that is presented matches what stands, and not what is written",
		test: rule("Worse"),
	},
	{
		name: "thirteen records", file: "internal/rollover/publish.go",
		old: "case len(o.Records) > MaxRecords:", new: "case false:",
		why:  "large senders fail beyond twelve",
		test: rule("Traps"),
	},
	{
		name: "what is about to be written is not noted", file: "internal/rollover/publish.go",
		old: "\to.Write = true\n\tr.plan(o)\n", new: "\to.Write = true\n",
		why:  "the update may be carried out although nobody hears of it",
		test: rule("PlannedIsNoted"),
	},
	{
		name: "an old sweep is written after", file: "internal/rollover/publish.go",
		old: "if !o.primaryKnown || !r.fresh(o) {", new: "if !o.primaryKnown {",
		why:  "it tells of what stood a while ago",
		test: rule("OldSweep"),
	},
	{
		name: "a set that a key lacks gets in", file: "internal/rollover/parameters.go",
		old: "if t := &r.keys[i]; t.mayBePresented() && !hasSet(t.Records, p) {", new: "if t := &r.keys[i]; false && !hasSet(t.Records, p) {",
		why:  "a sender that knows the set alone fails at that key",
		test: rule("SetWaits"),
	},
}
