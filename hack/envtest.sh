#!/usr/bin/env bash
# Makes sure that the programs the tests and the demo run on are there, and prints where they are.
#
#   hack/envtest.sh               kube-apiserver and etcd; prints their folder (KUBEBUILDER_ASSETS)
#   hack/envtest.sh cert-manager  cert-manager's controllers; prints the path of the program
#   hack/envtest.sh pebble        Pebble, an ACME server; prints the path of the program
#   hack/envtest.sh kubectl       kubectl, which runs the commands of the tutorial and of the README; prints its path
#   hack/envtest.sh kustomize     kustomize, for the same; prints its path
#
# They are kept outside the checkout, so that every clone of the machine shares them. kube-apiserver
# and etcd are downloaded by setup-envtest where that works, and otherwise built from the modules
# that hack/kube pins, which takes some minutes the first time. Progress goes to standard error.
#
#   KUBE_ASSETS_DIR    the folder; default ${XDG_CACHE_HOME:-~/.cache}/dane-operator/kube-VERSION-OS-ARCH
#   KUBE_ASSETS_BUILD  set to 1 to build without trying the download
set -euo pipefail
shopt -s nullglob

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export GOWORK=off
version=$(go list -C "$root/hack/kube" -m -f '{{.Version}}' k8s.io/kubernetes)
version=${version#v}
dir=${KUBE_ASSETS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dane-operator/kube-$version-$(go env GOOS)-$(go env GOARCH)}
setup_envtest=sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1
work=

say() { echo "envtest: $*" >&2; }

# step LIMIT WHAT COMMAND... runs COMMAND with its output in a log, says every 15 seconds that it is
# still at it, and ends it after LIMIT seconds (0 means never).
step() {
	local limit=$1 what=$2 start=$SECONDS next=15 pid
	shift 2
	"$@" >>"$work/log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.3
		if ((SECONDS - start >= next)); then
			say "  $what: $((SECONDS - start)) s so far"
			next=$((next + 15))
		fi
		if ((limit > 0 && SECONDS - start >= limit)); then
			kill "$pid" 2>/dev/null || true
			echo "$what: given up after $limit s" >>"$work/log"
		fi
	done
	wait "$pid"
}

# lock waits until no other run of this script fills the folder. A lock whose holder is gone is taken over.
lock() {
	local holder said=
	mkdir -p "$dir"
	until mkdir "$dir/.lock" 2>/dev/null; do
		holder=$(cat "$dir/.lock/pid" 2>/dev/null || true)
		if [[ -n $holder ]] && ! kill -0 "$holder" 2>/dev/null; then
			rm -rf "$dir/.lock"
			continue
		fi
		[[ -n $said ]] || say "waiting for process ${holder:-?}, which fills $dir (remove $dir/.lock if it does not)"
		said=1
		sleep 1
	done
	echo $$ >"$dir/.lock/pid"
	trap unlock EXIT
	work=$dir/.lock
	: >"$work/log"
}

unlock() {
	local code=$? jobs
	jobs=$(jobs -p)
	[[ -z $jobs ]] || kill $jobs 2>/dev/null || true
	if ((code != 0)) && [[ -s $work/log ]]; then
		say "failed; the end of the log:"
		tail -n 20 "$work/log" >&2
	fi
	rm -rf "$work"
}

# download fetches the two programs with setup-envtest. Only the look at its index has a limit: a
# slow line may take its time over the rest.
download() {
	[[ ${KUBE_ASSETS_BUILD:-} != 1 ]] || return 1
	say "looking for kube-apiserver and etcd ${version%.*} to download (up to a minute)"
	GOBIN=$work step 0 "fetching setup-envtest" go install "$setup_envtest" || return 1
	step 45 "asking what there is" "$work/setup-envtest" list "${version%.*}.x!" --bin-dir "$work/dl" || return 1
	step 0 "downloading" "$work/setup-envtest" use "${version%.*}.x!" --bin-dir "$work/dl" || return 1
	local found
	found=$(find "$work/dl" -type f -name kube-apiserver | head -n 1)
	[[ -n $found ]] || return 1
	cp "$found" "$(dirname "$found")"/{etcd,kubectl} "$work/"
}

build() {
	local minor=${version#*.} v=k8s.io/component-base/version
	say "building etcd from its Go module (about half a minute on two cores)"
	step 0 etcd go build -C "$root/hack/kube" -trimpath -ldflags "-s -w" -o "$work/etcd" go.etcd.io/etcd/server/v3
	say "building kube-apiserver $version from its Go modules (about five minutes on two cores, once)"
	step 0 kube-apiserver go build -C "$root/hack/kube" -trimpath -o "$work/kube-apiserver" -ldflags \
		"-s -w -X $v.gitVersion=v$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%.*}" k8s.io/kubernetes/cmd/kube-apiserver
}

kube() {
	if [[ ! -x $dir/etcd || ! -x $dir/kube-apiserver ]]; then
		lock
		if [[ ! -x $dir/etcd || ! -x $dir/kube-apiserver ]]; then
			download || build
			chmod 0755 "$work"/{etcd,kube*}
			mv "$work"/{etcd,kube*} "$dir/"
			say "kube-apiserver and etcd are in $dir"
		fi
	fi
	echo "$dir"
}

# built NAME MODULE PACKAGE HOW-LONG builds a package of a module of the tests. The name of the program
# holds a digest of the module's source, so that a change of it, or of a version it pins, makes a new one.
built() {
	local name=$1 source=$root/$2 package=$3 program sum
	sum=$(cat "$source"/go.* "$source"/*.go | cksum)
	program=$dir/$name-${sum%% *}
	if [[ ! -x $program ]]; then
		lock
		if [[ ! -x $program ]]; then
			say "building $name from its Go module ($4 on two cores, once)"
			step 0 "$name" go build -C "$source" -trimpath -ldflags "-s -w" -o "$work/$name" "$package"
			rm -f "$dir/$name"-*
			mv "$work/$name" "$program"
		fi
	fi
	echo "$program"
}

case ${1:-kube} in
kube) kube ;;
cert-manager) built cert-manager test/certmanager . "about three minutes" ;;
pebble) built pebble test/acme/pebble github.com/letsencrypt/pebble/v2/cmd/pebble "a few seconds" ;;
# The download of kube-apiserver has it too.
kubectl) [[ ! -x $dir/kubectl ]] || { echo "$dir/kubectl" && exit; }
	built kubectl hack/kube k8s.io/kubernetes/cmd/kubectl "about a minute" ;;
kustomize) built kustomize hack/kube sigs.k8s.io/kustomize/kustomize/v5 "a few seconds" ;;
*) say "want no argument, cert-manager, pebble, kubectl or kustomize; got: $1" && exit 2 ;;
esac
