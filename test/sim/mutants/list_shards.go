package main

// ofShards break how several operators share a cluster.
var ofShards = []mutant{
	{
		name: "labels are not looked at", file: "controllers/maildomain_controller.go",
		old: "if !r.shard.Has(md) {", new: "if false {",
		why:  "two operators work on each MailDomain",
		test: control("TestOthersAreLeftAlone"),
	},
	{
		name: "what went to another operator is remembered", file: "controllers/maildomain_controller.go",
		old: "\t\tr.forget(req.NamespacedName) // it may have been ours until its labels changed\n", new: "",
		why:  "hosts of another operator are probed and counted, and when they come back an old look decides",
		test: control("TestOthersAreLeftAlone"),
	},
	{
		name: "requests of others are approved", file: "controllers/gate_controller.go",
		old: "if len(say.others) > 0 {", new: "if false {",
		why:  "a key is handed out that caches do not know",
		test: control("TestRequestsOfOthers"),
	},
	{
		name: "what the cache does not show holds nothing", file: "controllers/voters.go",
		old: "if len(out.own)+len(out.others) > 0 {", new: "if true {",
		why:  "another operator has held a request for long that a cache which lags takes for nobody's",
		test: control("TestVoters"),
	},
	{
		name: "both approve for a Certificate of both", file: "controllers/decisions.go",
		old: "case h.apart != nil:", new: "case false:",
		why:  "the host of the other operator does not have the key yet",
		test: control("TestCertificateOfTwoOperators"),
	},
	{
		name: "a host is begun with a Certificate of another operator", file: "controllers/apart.go",
		old: "if !h.hasRecords() {", new: "if false {",
		why:  "the other operator may not have seen it, and approve a key that no record has",
		test: control("TestCertificateOfTwoOperators"),
	},
	{
		name: "every operator writes every DNSZone", file: "controllers/dnszone_controller.go",
		old: "if !r.shard.Has(z) {", new: "if false {",
		why:  "two operators write DS records, and undo each other's status",
		test: control("TestZoneOfAnotherOperator"),
	},
	{
		name: "a DNSZone that nobody acts for is used", file: "controllers/zoneshare.go",
		old: "case len(z.Status.Conditions) == 0:", new: "case false:",
		why:  "what caches hold of its former keys is forgotten at the next restart",
		test: control("TestZoneOfAnotherOperator"),
	},
	{
		name: "what was seen of a delegation moves with the label", file: "controllers/zoneshare.go",
		old: "if e.own = own; !own {", new: "if e.own = own; false {",
		why:  "DS records are written for what was seen before another operator had the zone",
		test: control("TestZoneThatMoves"),
	},
}
