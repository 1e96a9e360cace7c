// Command dane-operator keeps the DANE TLSA records of mail servers in step with their cert-manager
// certificates.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	ctrl "sigs.k8s.io/controller-runtime"
)

// gcPercent lets the heap grow by a third, and not to twice its size, before it is collected: most of it
// are caches that stay, and memory costs more here than the time to look through them.
const gcPercent = 33

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if err := newCommand().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "dane-operator: "+err.Error())
		os.Exit(1)
	}
}
