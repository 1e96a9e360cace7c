#!/usr/bin/env bash
# Runs every fuzz target of the product for the time given.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-1m}
grep -rl '^func Fuzz' --include='*_test.go' internal | while read -r file; do
	package=./$(dirname "$file")
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$file" | while read -r target; do
		echo "fuzzing $target of $package for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done
