// Command small is a program to make an image of, in tests. It says who it runs as, and what it is trusted with.
package main

import (
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	roots, err := os.Stat("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("user %d, %t, %s\n", os.Getuid(), roots.Size() > 1000, types.OCILayer)
}
