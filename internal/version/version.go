// Package version tells which version of the product a program is, as the programs of Kubernetes do.
package version

import (
	"regexp"
	"runtime"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/version"
)

// release is the version that the linker was told: -X github.com/dane-operator/dane-operator/internal/version.release=v1.2.3.
var release string

// unversioned is the version of a program that was built from a folder without history, and with none given.
const unversioned = "(devel)"

// Get is the version of the running program.
func Get() version.Info {
	build, _ := debug.ReadBuildInfo()
	return of(release, build)
}

// semantic is a semantic version, as tags of releases are.
var semantic = regexp.MustCompile(`^v(\d+)\.(\d+)\.`)

// of makes it from the version that the linker was told, and from what Go wrote into the program: the version that tags
// lead to, the commit, and whether files were changed. The build date is that of the commit: the same source makes the same
// program.
func of(release string, build *debug.BuildInfo) version.Info {
	out := version.Info{
		GitVersion: release,
		GoVersion:  runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if build != nil {
		if out.GitVersion == "" {
			out.GitVersion = build.Main.Version
		}
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				out.GitCommit = s.Value
			case "vcs.time":
				out.BuildDate = s.Value
			case "vcs.modified":
				out.GitTreeState = map[string]string{"true": "dirty", "false": "clean"}[s.Value]
			}
		}
	}
	if out.GitVersion == "" {
		out.GitVersion = unversioned
	}
	if parts := semantic.FindStringSubmatch(out.GitVersion); parts != nil {
		out.Major, out.Minor = parts[1], parts[2]
	}
	return out
}
