package main

// ofValidation break what is believed of signed answers.
var ofValidation = []mutant{
	{
		name: "no time to look is nothing there", file: "internal/dnssec/between.go",
		old: "\tcase ended != \"\":\n", new: "\tcase false:\n",
		why:  "who makes a walk long enough speaks for zones below",
		test: proven("TestCuts"),
	},
	{
		name: "a zone without keys is no zone", file: "internal/dnssec/between.go",
		old: ", z.delegated && below(signer, z.err.Zone):", new: ":",
		why:  "the zone above speaks for it, and its keys were taken away on purpose",
		test: proven("TestSignerAboveCutThroughForwarders"),
	},
	{
		name: "zones above an anchor speak for it", file: "internal/dnssec/validator.go",
		old: "if err == nil && below(signer, l.trusted(f.top())) {", new: "if err == nil && f.state == Insecure && below(signer, l.trusted(f.top())) {",
		why:  "a zone has an anchor of its own because those above it are not trusted",
		test: proven("TestSecureZoneAboveTheAnchorHasNoSay"),
	},
}
