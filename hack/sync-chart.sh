#!/usr/bin/env bash
# Copies into the Helm chart what it shares with config/, which a chart cannot reach out of its folder
# for: the CRDs, the rights of the operator, the policies, the alerts and the dashboard. Called with "check", it copies nothing
# and fails when a copy differs.
set -euo pipefail
cd "$(dirname "$0")/.."
files=charts/dane-operator/files
shared=(config/rbac/role.yaml config/policy/gate.yaml config/reports/policy.yaml config/prometheus/rules.yaml config/grafana/dane-operator.json)
if [[ ${1:-} == check ]]; then
	status=0
	diff -ru config/crd/bases "$files/crds" || status=1
	for file in "${shared[@]}"; do
		diff -u "$file" "$files/$(basename "$file")" || status=1
	done
	exit "$status"
fi
mkdir -p "$files/crds"
rm -f "$files"/crds/*.yaml "$files"/*.yaml "$files"/*.json
cp config/crd/bases/*.yaml "$files/crds/"
cp "${shared[@]}" "$files/"
