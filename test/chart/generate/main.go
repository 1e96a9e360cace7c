// Command generate writes dist/install.yaml from config/default, and the table of values in the chart's README.md from
// the comments of its values.yaml. With -check it writes nothing, and fails when either is not up to date.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dane-operator/dane-operator/test/chart/manifests"
)

func main() {
	check := flag.Bool("check", false, "write nothing, and fail when a file is not up to date")
	root := flag.String("root", "../..", "`FOLDER` of the repository")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	for _, made := range []struct {
		file   string
		render func(root, file string) ([]byte, error)
	}{
		{"dist/install.yaml", install},
		{"charts/dane-operator/README.md", readme},
	} {
		file := filepath.Join(root, made.file)
		want, err := made.render(root, file)
		if err != nil {
			return fmt.Errorf("generate %s: %w", made.file, err)
		}
		if err := put(file, want, check); err != nil {
			return err
		}
	}
	return nil
}

// put writes a file, or compares it.
func put(file string, want []byte, check bool) error {
	if !check {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return err
		}
		return os.WriteFile(file, want, 0o644) //nolint:gosec // a file of the repository, for everybody
	}
	have, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%s is not up to date: run make generate", file)
	}
	return nil
}

const head = `# dane-operator as config/default installs it. Put your image in and apply it:
#
#     sed 's|image: dane-operator:latest$|image: REGISTRY/dane-operator:TAG|' install.yaml | kubectl apply --server-side -f -
#
# Made by "make generate" from config/: change that, and not this file.
`

func install(root, _ string) ([]byte, error) {
	objects, err := manifests.Kustomize(filepath.Join(root, "config", "default"))
	return append([]byte(head), objects...), err
}

// The table stands between these lines of README.md; the rest of it is written by hand.
const begin, end = "<!-- values: made from values.yaml by make generate -->\n", "<!-- end of values -->\n"

func readme(root, file string) ([]byte, error) {
	values, err := os.ReadFile(filepath.Join(root, "charts", "dane-operator", "values.yaml")) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	table, err := manifests.Table(values)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !found || !ended {
		return nil, fmt.Errorf("the lines %q and %q are not in it", begin, end)
	}
	return bytes.Join([][]byte{before, []byte(begin), []byte(table), []byte(end), after}, nil), nil
}
