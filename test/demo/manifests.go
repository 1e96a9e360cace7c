package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The objects of the demo are files that a reader could have written. What is known only at run time
// stands in them as ${NAME}, as envsubst has it.
//
//go:embed manifests/*.yaml
var manifests embed.FS

// values are what is filled into the manifests, by name.
type values map[string]string

// manifest reads a file of manifests/ and fills the values in. A name without a value is an error: an
// empty text in its place might mean something.
func manifest(file string, v values) (string, error) {
	text, err := manifests.ReadFile("manifests/" + file)
	if err != nil {
		return "", fmt.Errorf("read a manifest: %w", err)
	}
	var errs []error
	out := os.Expand(string(text), func(name string) string {
		value, ok := v[name]
		if !ok && name != "..." { // the comments speak of ${...}
			errs = append(errs, fmt.Errorf("manifests/%s wants ${%s}, which has no value", file, name))
		}
		return value
	})
	return out, errors.Join(errs...)
}

// apply applies a file of manifests/ as it is filled in now, and says which.
func (s *stage) apply(ctx context.Context, file, what string) error {
	s.view.log("applying test/demo/manifests/%s: %s", file, what)
	text, err := manifest(file, s.values)
	if err != nil {
		return err
	}
	if err := keep(applied(s.lab.Dir, file), text); err != nil {
		return err
	}
	return s.lab.Apply(ctx, text)
}

// applied is where a file of manifests/ is kept as it was applied, in the folder of the demo.
func applied(dir, file string) string { return filepath.Join(dir, "manifests", file) }

// keep writes a manifest for who wants to change it; that of the zone has a secret in it.
func keep(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
