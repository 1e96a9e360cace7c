#!/usr/bin/env bash
# Makes the archives of "kubectl dane" that .krew.yaml names, one a platform, with the licence inside, into a
# folder (default bin/plugin). Further arguments are platforms (OS/ARCH) to make instead of all. VERSION is what the
# program says it is; empty is what git knows.
set -euo pipefail
cd "$(dirname "$0")/.."
VERSION=${VERSION:-}
out=${1:-bin/plugin}
shift || true
platforms=("$@")
if [[ ${#platforms[@]} -eq 0 ]]; then
	platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64)
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
for platform in "${platforms[@]}"; do
	os=${platform%/*} arch=${platform#*/}
	program=kubectl-dane
	[[ $os != windows ]] || program+=.exe
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	echo "building $program for $platform"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "-s -w -X github.com/dane-operator/dane-operator/internal/version.release=$VERSION" \
		-o "$work/$program" ./cmd/kubectl-dane
	cp LICENSE "$work/"
	# The same source makes the same archive: krew compares its SHA-256.
	tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -c LICENSE "$program" |
		gzip -n >"$out/kubectl-dane_${os}_${arch}.tar.gz"
	rm -rf "$work"
done
