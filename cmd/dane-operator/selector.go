package main

import "github.com/dane-operator/dane-operator/internal/shard"

// selectorValue is the value of --selector. One that is no selector is refused where it is given.
type selectorValue struct{ shard.Shard }

// Set implements pflag.Value.
func (v *selectorValue) Set(text string) error {
	s, err := shard.Parse(text)
	if err != nil {
		return err
	}
	v.Shard = s
	return nil
}

// Type implements pflag.Value.
func (v *selectorValue) Type() string { return "string" }
