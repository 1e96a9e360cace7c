#!/usr/bin/env bash
# Writes the reference of the API (docs/api.md) from the comments and markers of api/v1alpha1 into a file.
set -euo pipefail
out=${1:?want the file to write}
cd "$(dirname "$0")/.."
go tool -modfile=hack/tools/go.mod crd-ref-docs --source-path=api/v1alpha1 --config=hack/api-docs/config.yaml \
	--templates-dir=hack/api-docs/templates --renderer=markdown --log-level=ERROR --output-path="$out"
