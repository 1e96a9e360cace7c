// Command dane-operator keeps the DANE TLSA records of mail servers in step with their cert-manager
// certificates.
package main

import (
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	limitMemory(os.DirFS("/"))
	if err := newCommand().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "dane-operator: "+err.Error())
		os.Exit(1)
	}
}
