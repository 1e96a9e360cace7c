package main

import "slices"

// mutant is one way to break the product: a text of a file is replaced by another.
type mutant struct {
	name, file, old, new string
	// why says what goes wrong with it.
	why string
	// wire has every history run the real zone actors.
	wire bool
	// only has every history draw from some families of faults alone; empty is all.
	only string
	// test is what kills it where the simulator is not the one to find it: the arguments of go test, from the
	// root of the repository.
	test []string
}

func rule(run string) []string    { return []string{"./internal/rollover", "-run", run} }
func control(run string) []string { return []string{"./controllers", "-run", run} }
func zoned(run string) []string   { return []string{"./internal/zone", "-run", run} }
func matched(run string) []string { return []string{"./internal/tlsa", "-run", run} }
func proven(run string) []string  { return []string{"./internal/dnssec", "-run", run} }

// mutants are all of them.
var mutants = slices.Concat(ofVersions, ofDeployment, ofRemoval, ofDoubt, ofPublication, ofReconcilers, ofShards, ofWire, ofValidation)
