package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// program is one build of the program.
type program struct {
	// name of its file, and of the image's entry point.
	name string
	// text is the file.
	text     []byte
	platform v1.Platform
	built    *debug.BuildInfo
}

// readPrograms reads builds, and refuses those that an image without libraries could not run.
func readPrograms(paths []string) ([]program, error) {
	if len(paths) == 0 {
		return nil, fmt.Errorf("name the program, built for each platform")
	}
	var out []program
	for _, path := range paths {
		p, err := readProgram(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		same := func(q program) bool { return q.platform.Equals(p.platform) }
		if slices.ContainsFunc(out, same) {
			return nil, fmt.Errorf("%s: there is one for %s already", path, p.platform)
		}
		if p.name != filepath.Base(paths[0]) {
			return nil, fmt.Errorf("%s: builds of one program have one name, and the first is %s", path, filepath.Base(paths[0]))
		}
		out = append(out, p)
	}
	return out, nil
}

func readProgram(path string) (program, error) {
	text, err := os.ReadFile(path) //nolint:gosec // what the user names
	if err != nil {
		return program{}, err
	}
	built, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, fmt.Errorf("read what it was built of: %w", err)
	}
	p := program{name: filepath.Base(path), text: text, built: built}
	p.platform = v1.Platform{OS: p.setting("GOOS"), Architecture: p.setting("GOARCH")}
	if p.platform.OS != "linux" {
		return program{}, fmt.Errorf("it was built for %s: want linux", p.platform)
	}
	return p, linkedStatically(path)
}

// linkedStatically is an error for a program that needs a dynamic loader, which the image does not have.
func linkedStatically(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("read it as a program of linux: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was read
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("it is linked dynamically: build it with CGO_ENABLED=0")
	}
	return nil
}

// setting is how it was built, such as GOARCH or vcs.revision.
func (p program) setting(key string) string {
	for _, s := range p.built.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// created is the time of the commit, so that two builds of it are alike; the beginning of 1970 where there is none.
func (p program) created() time.Time {
	at, err := time.Parse(time.RFC3339, p.setting("vcs.time"))
	if err != nil {
		return time.Unix(0, 0).UTC()
	}
	return at.UTC()
}

func (p program) sha256() string {
	sum := sha256.Sum256(p.text)
	return hex.EncodeToString(sum[:])
}
