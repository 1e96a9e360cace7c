#!/usr/bin/env bash
# Runs every fuzz target of the product for the time given, or the number of inputs ("300x"), as many side by side as
# there are cores, and tells how many inputs each has tried. A time that is shorter than a target needs for its corpus is a failure
# (go test says "context deadline exceeded"); a number never is. What a target fails on stays under testdata/fuzz of its package, where every later test tries it.
set -euo pipefail
cd "$(dirname "$0")/.."

# one runs a target of a package: its inputs are made one after the other, since others run beside it. Of an input that
# reaches new code go test looks for a shorter one, for a minute each unless it is told otherwise: with certificates, that was
# all the time there is, and ten inputs were tried. Twenty attempts are enough.
one() {
	local log
	log=$(mktemp)
	if ! go test -run '^$' -fuzz "^$3\$" -fuzztime "$1" -fuzzminimizetime 20x -parallel 1 "$2" </dev/null >"$log" 2>&1 && ! ended "$log"; then
		cat "$log"
		rm -f "$log"
		return 1
	fi
	echo "$(basename "$2").$3: $(grep 'execs:' "$log" | tail -1 | sed 's/^fuzz: //')"
	rm -f "$log"
}

# ended says whether a run failed for nothing but that its time was over while go test looked for a shorter input, which it tells
# as an error. A run whose corpus was not through by then, or that has found something, has failed.
ended() {
	grep -q '^ *context deadline exceeded$' "$1" && grep -q 'now fuzzing' "$1" && ! grep -q 'Failing input' "$1"
}
export -f one ended

# targets prints the package and the name of each: go test tells the names first, and then whose they were.
targets() {
	go test -list '^Fuzz' ./... | awk '/^Fuzz/ {names[++n] = $1} /^ok/ {for (i = 1; i <= n; i++) print $2, names[i]; n = 0}'
}

targets | xargs -n 2 -P "$(nproc)" bash -c 'one "$@"' one "${1:-1m}"
