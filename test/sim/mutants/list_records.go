package main

// ofRemoval break what the records of an old key wait for, and what is told.
var ofRemoval = []mutant{
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
		old: "case r.f.LastRound == nil || r.now.Sub(r.f.LastRound.End) > p.SweepFreshness || !r.allKnown(*r.f.LastRound):", new: "case false:",
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
		old: `return t.stage == "" && !t.Deployed && f.KeysComplete && !f.Policy.Suspended`, new: `return t.stage == "" && f.KeysComplete && !f.Policy.Suspended`,
		why:  "servers present a key after its Secret is gone",
		test: rule("Traps"),
	},
	{
		name: "unread keys go", file: "internal/rollover/keys.go",
		old: `return t.stage == "" && !t.Deployed && f.KeysComplete && !f.Policy.Suspended`, new: `return t.stage == "" && !t.Deployed && !f.Policy.Suspended`,
		why:  "what could not be read may name the key",
		test: rule("Forgettable"),
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
var ofPublication = []mutant{
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
