//go:build image

package main

import (
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestOperatorsImage looks at the image that "make image" has made, in DANE_TEST_IMAGE. It is built into the tests by the
// tag image alone, since it takes minutes to make that image: make test-image does both. TestLayout is its like for a
// small program.
func TestOperatorsImage(t *testing.T) {
	index, _ := open(t, os.Getenv("DANE_TEST_IMAGE"))
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout is not valid: %v", err)
	}
	runImage(t, index, "--help", "It watches MailDomain and DNSZone objects")
}
