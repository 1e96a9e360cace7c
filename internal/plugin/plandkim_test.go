package plugin

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dkimkey"
)

// keyRecord is the record of a key that was made.
func keyRecord(t *testing.T, algorithm dkimkey.Algorithm, size int) string {
	t.Helper()
	k, err := dkimkey.Make(rand.Reader, dkimkey.Wish{Name: "rsa", Algorithm: algorithm, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return k.Data()
}

// TestPlanOfSigningKeys: which key stays, which takes its place, and when, follows from the kinds of the keys that there are.
func TestPlanOfSigningKeys(t *testing.T) {
	rsa2048, rsa3072, ed := keyRecord(t, dkimkey.RSA, 2048), keyRecord(t, dkimkey.RSA, 3072), keyRecord(t, dkimkey.Ed25519, 0)
	const made = "published at rsa-DIGITS._domainkey.example.com, and put into Secret dkim once every name server shows it, and caches have forgotten that there was none: " +
		"the negative TTL of the zone (the last number of its SOA record) after that, and the same again or 60m, whichever is longer"
	const inUse = "selector rsa-1 is in use, in Secret dkim, and "
	for _, c := range []struct {
		reason        string
		algorithm     v1alpha1.DKIMAlgorithm
		size          int32
		current, next string
		change        func(*v1alpha1.MailDomain)
		want          string
	}{
		{"there is none", v1alpha1.DKIMRSA, 0, "", "", nil, "rsa (RSA 2048): it is made, " + made},
		{"it stays", v1alpha1.DKIMRSA, 0, rsa2048, "", nil, "rsa (RSA 2048): " + inUse + "stays: its key is of this kind"},
		{"it stays until its time", v1alpha1.DKIMRSA, 2048, rsa2048, "", func(md *v1alpha1.MailDomain) { md.Status.DKIM[0].NextRotation = hours(24) },
			"rsa (RSA 2048): " + inUse + "stays: its key is of this kind; the next one is made 2026-01-03 12:00:00Z"},
		{"its size changes", v1alpha1.DKIMRSA, 3072, rsa2048, "", func(md *v1alpha1.MailDomain) { md.Status.DKIM[0].NextRotation = hours(24) },
			"rsa (RSA 3072): " + inUse + "its key is RSA 2048: another is made at once, " + made + "; the record of rsa-1 is removed 7d after that"},
		{"its algorithm changes", v1alpha1.DKIMEd25519, 0, rsa2048, "", nil,
			"rsa (Ed25519): " + inUse + "its key is RSA 2048: another is made at once, " + made + "; the record of rsa-1 is removed 7d after that"},
		{"it changes, and is revoked then", v1alpha1.DKIMRSA, 3072, ed, "", func(md *v1alpha1.MailDomain) {
			md.Spec.DKIM.Rotation = &v1alpha1.DKIMRotationSpec{KeepRetired: "48h", Retired: v1alpha1.DKIMRevoke}
		}, "rsa (RSA 3072): " + inUse + "its key is Ed25519: another is made at once, " + made + "; the record of rsa-1 is replaced by one that revokes the key 2d after that"},
		{"the next one has the size already", v1alpha1.DKIMRSA, 3072, rsa2048, rsa3072, func(md *v1alpha1.MailDomain) { md.Status.DKIM[0].Keys[1].DeployableAt = hours(2) },
			"rsa (RSA 3072): " + inUse + "its key is RSA 2048; rsa-2 is made already, and takes its place 2026-01-02 14:00:00Z at the earliest; the record of rsa-1 is removed 7d after that"},
		{"the next one has it, and is not shown yet", v1alpha1.DKIMRSA, 3072, rsa2048, rsa3072, nil,
			"rsa (RSA 3072): " + inUse + "its key is RSA 2048; rsa-2 is made already, and takes its place once every name server shows it"},
		{"the next one has another", v1alpha1.DKIMRSA, 0, rsa2048, rsa3072, nil,
			"rsa (RSA 2048): " + inUse + "stays: its key is of this kind; the next one, rsa-2, is RSA 3072: another is made in its place at once, " + made},
		{"it is to be in another Secret", v1alpha1.DKIMRSA, 0, rsa2048, "", func(md *v1alpha1.MailDomain) { md.Spec.DKIM.Keys[0].SecretName = "other" },
			"rsa (RSA 2048): " + inUse + "stays there; another key is made, " + strings.Replace(made, "Secret dkim", "Secret other", 1) + "; the record of rsa-1 is removed 7d after that"},
		{"the status does not tell", v1alpha1.DKIMRSA, 0, `"v=DKIM1; p="`, "", nil,
			"rsa (RSA 2048): " + inUse + "stays if its key is of this kind, which the status does not tell; if not, another is made, " + made},
		{"all is suspended", v1alpha1.DKIMRSA, 3072, rsa2048, "", func(md *v1alpha1.MailDomain) { md.Spec.Suspend = true },
			"\nspec.suspend is true: until it is false no key is made, published, handed over or removed.\n"},
		{"it leaves", v1alpha1.DKIMRSA, 0, rsa2048, "", func(md *v1alpha1.MailDomain) { md.Spec.DKIM = nil },
			"rsa: it leaves the spec: its records are removed 7d after that, and Secret dkim stays; have the signer stop using it"},
		{"it has left", v1alpha1.DKIMRSA, 0, rsa2048, "", func(md *v1alpha1.MailDomain) { md.Spec.DKIM, md.Status.DKIM[0].RemoveAt = nil, hours(1) },
			"rsa: it is not in the spec: its records are removed 2026-01-02 13:00:00Z, and Secret dkim stays"},
		{"it leaves, and its records stay", v1alpha1.DKIMRSA, 0, rsa2048, "", func(md *v1alpha1.MailDomain) { md.Spec.DKIM, md.Spec.DeletionPolicy = nil, v1alpha1.DeletionRetain },
			"rsa: it is not in the spec: its records and Secret dkim are left as they are (spec.deletionPolicy: Retain)"},
	} {
		md := rolling()
		md.Status.DKIM = nil
		md.Spec.DKIM = &v1alpha1.DKIMSpec{Keys: []v1alpha1.DKIMKeySpec{{Name: "rsa", Algorithm: c.algorithm, Size: c.size, SecretName: "dkim"}}}
		if c.current != "" {
			md.Status.DKIM = []v1alpha1.DKIMStatus{{Name: "rsa", SecretName: "dkim", State: v1alpha1.DKIMInUse, Selector: "rsa-1", Keys: []v1alpha1.DKIMKeyStatus{{Selector: "rsa-1", Role: v1alpha1.RoleCurrent, Record: c.current}}}}
		}
		if c.next != "" {
			md.Status.DKIM[0].Keys = append(md.Status.DKIM[0].Keys, v1alpha1.DKIMKeyStatus{Selector: "rsa-2", Role: v1alpha1.RoleNext, Record: c.next})
		}
		if c.change != nil {
			c.change(md)
		}
		var out bytes.Buffer
		writeKeyPlan(&out, md)
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: it says\n%s\nwant\n%s", c.reason, &out, c.want)
		}
		if stays := strings.Contains(c.want, "stays: "); stays && c.next == "" && strings.Contains(out.String(), "another") {
			t.Errorf("%s: nothing is to change, and it says\n%s", c.reason, &out)
		}
	}
}
