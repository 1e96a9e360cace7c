package main

import (
	"io/fs"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// gcPercent lets the heap grow by three tenths, and not to twice its size, before it is collected: most of it
// are caches that stay, and memory costs more here than the time to look through them.
const gcPercent = 30

// memoryShare is the part of the container's memory that the Go runtime may fill before it collects harder,
// in percent: the rest is for what it does not count, and for the moment until a collection ends. With less, what
// is in use may come near the limit while the container has room, and the operator does little but collect.
const memoryShare = 90

// limitMemory tells the runtime how much memory there is, so that many renewals at once make it collect more
// often, and do not end it. GOGC and GOMEMLIMIT go before what is chosen here.
func limitMemory(files fs.FS) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if limit := containerMemory(files); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 100 * memoryShare)
	}
}

// containerMemory is how many octets of memory the container may use (memory.max of cgroup v2,
// limit_in_bytes of v1); 0 where there is no limit.
func containerMemory(files fs.FS) int64 {
	for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			continue
		}
		// Without a limit v2 says "max", and v1 a number near the largest that there is.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < math.MaxInt64/2 {
			return n
		}
	}
	return 0
}
