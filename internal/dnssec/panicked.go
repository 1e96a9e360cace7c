package dnssec

import (
	"fmt"
	"runtime/debug"
)

// Panicked runs f on a goroutine that is nobody's own, and gives what it panicked with, where in the code included;
// nil when it did not. Whoever waits for the goroutine is to panic with it in its place: it may know how to go on.
func Panicked(f func()) (problem any) {
	defer func() {
		if p := recover(); p != nil {
			problem = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	f()
	return nil
}
