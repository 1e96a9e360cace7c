// Command image makes a container image of a static Go program: an OCI layout, for each platform that the program was
// built for, with nothing in it but the program, the public CA certificates and a user. It needs no registry, no docker
// and no base image. A bill of materials in SPDX goes with each platform, as an attestation in the layout, where the
// tools of docker find it, and as a file.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "image", "`FOLDER` of the OCI layout; an older layout in it is replaced")
	sbom := flag.String("sbom", "sbom", "`FOLDER` for the bills of materials")
	tag := flag.String("tag", "latest", "`TAG` that the layout gives the image")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "image [-out FOLDER] [-sbom FOLDER] [-tag TAG] PROGRAM...\n\nMakes an OCI layout of a program, built once for each platform.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(*out, *sbom, *tag, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(out, sboms, tag string, paths []string) error {
	programs, err := readPrograms(paths)
	if err != nil {
		return err
	}
	if err := makeRoom(out); err != nil {
		return err
	}
	if err := os.MkdirAll(sboms, 0o750); err != nil {
		return fmt.Errorf("make the folder of the bills of materials: %w", err)
	}
	digest, err := writeLayout(out, tag, programs, func(p program, bill []byte) error {
		file := filepath.Join(sboms, p.name+"-"+p.platform.OS+"-"+p.platform.Architecture+".spdx.json")
		return os.WriteFile(file, bill, 0o644) //nolint:gosec // everybody may read it
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s is %s in %s\n", tag, digest, out)
	return nil
}

// makeRoom removes an older layout, and nothing else.
func makeRoom(out string) error {
	found, err := os.ReadDir(out)
	if os.IsNotExist(err) || err == nil && len(found) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an older layout: %w", err)
	}
	if _, err := os.Stat(filepath.Join(out, "oci-layout")); err != nil {
		return fmt.Errorf("%s is not empty, and no OCI layout: empty it, or name another folder", out)
	}
	return os.RemoveAll(out)
}
