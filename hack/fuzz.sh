#!/usr/bin/env bash
# Runs every fuzz target of the product for the time given, or the number of inputs ("300x"), one after the other,
# and tells how many inputs each has tried. A time that is shorter than a target needs for its corpus is a failure
# (go test says "context deadline exceeded"); a number never is. What a target fails on stays under testdata/fuzz of its package, where every later test tries it.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-1m}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# targets prints the package and the name of each: go test tells the names first, and then whose they were.
targets() {
	go test -list '^Fuzz' ./... | awk '/^Fuzz/ {names[++n] = $1} /^ok/ {for (i = 1; i <= n; i++) print $2, names[i]; n = 0}'
}

targets | while read -r package target; do
	if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null >"$log" 2>&1; then
		cat "$log"
		exit 1
	fi
	echo "$(basename "$package").$target: $(grep 'execs:' "$log" | tail -1 | sed 's/^fuzz: //')"
done
