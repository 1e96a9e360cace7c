// Command show prints its version: it stands for the programs of the product, and is quickly built.
package main

import (
	"fmt"

	"github.com/dane-operator/dane-operator/internal/version"
)

func main() { fmt.Println(version.Get().GitVersion) }
