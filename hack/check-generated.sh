#!/usr/bin/env bash
# Fails when the generated files, docs/api.md and dist/install.yaml among them, are not what the sources generate, when the
# chart's copies are not those of config/, or when a go.mod or go.sum is not tidy. It leaves the checkout as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
gen() { go tool -modfile=hack/tools/go.mod controller-gen "$@"; }
echo "generating code, CRDs and rights to compare with (the first time builds controller-gen)"
gen object paths=./api/... output:object:dir="$fresh"
gen crd paths=./api/... output:crd:dir="$fresh/crd"
gen rbac:roleName=dane-operator paths=./controllers/... output:rbac:dir="$fresh/rbac"
hack/api-docs.sh "$fresh/api.md"
status=0
diff -u api/v1alpha1/zz_generated.deepcopy.go "$fresh/zz_generated.deepcopy.go" || status=1
diff -ru config/crd/bases "$fresh/crd" || status=1
diff -u config/rbac/role.yaml "$fresh/rbac/role.yaml" || status=1
go run ./hack/dashboard | diff -u config/grafana/dane-operator.json - || status=1
diff -u docs/api.md "$fresh/api.md" || status=1
hack/sync-chart.sh check || status=1
go -C test/chart run ./generate -check || status=1
if ((status)); then
	echo "generated files are not up to date: run make generate" >&2
fi
while read -r module; do
	module=$(dirname "$module")
	echo "checking that $module/go.mod is tidy"
	if ! go -C "$module" mod tidy -diff; then
		echo "$module/go.mod or go.sum is not tidy: run go -C $module mod tidy" >&2
		status=1
	fi
done < <(find . -name go.mod -not -path '*/node_modules/*' -not -path './.git/*' | sort)
exit "$status"
