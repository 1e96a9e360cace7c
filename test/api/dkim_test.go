package api

import "testing"

// TestDKIM: every rule of spec.dkim.
func TestDKIM(t *testing.T) {
	keys := func(text string) string { return `{dkim: {keys: [` + text + `]}}` }
	rotation := func(text string) string {
		return `{dkim: {keys: [{name: rsa, algorithm: RSA, secretName: dkim-rsa}], rotation: ` + text + `}}`
	}
	name := func(text string) string { return keys(`{name: ` + text + `, algorithm: RSA, secretName: dkim}`) }
	secret := func(text string) string { return keys(`{name: rsa, algorithm: RSA, secretName: ` + text + `}`) }
	check(t, "MailDomain", smallestMailDomain, []row{
		{"two keys, and when they change", `{dkim: {keys: [{name: rsa, algorithm: RSA, size: 2048, secretName: dkim-rsa}, {name: ed, algorithm: Ed25519, secretName: dkim-ed}], rotation: {every: 2160h, keepRetired: 168h}, ttl: 3600, adopt: true}}`, "", ""},
		{"the rotation may be left out", keys(`{name: rsa, algorithm: RSA, secretName: dkim}`), "", ""},
		{"there is a key at least", `{dkim: {keys: []}}`, "spec.dkim.keys", "should have at least 1 items"},
		{"a key of 4096 bits", keys(`{name: rsa, algorithm: RSA, size: 4096, secretName: dkim}`), "", ""},
		{"records of keys are taken over", `{dkim: {keys: [{name: rsa, algorithm: RSA, secretName: dkim}], adopt: true, ttl: 86400}}`, "", ""},
		{"a fifth key is too many", `{dkim: {keys: ` + list(5, `{name: k%d, algorithm: RSA, secretName: s%d}`) + `}}`, "spec.dkim.keys", "must have at most 4 items"},
		{"two keys of a name would be one", keys(`{name: a, algorithm: RSA, secretName: x}, {name: a, algorithm: RSA, secretName: y}`), "spec.dkim.keys[1]", "Duplicate value"},
		{"two keys in one Secret would take turns", keys(`{name: a, algorithm: RSA, secretName: x}, {name: b, algorithm: RSA, secretName: x}`), "spec.dkim.keys", "needs a secretName of its own"},
		{"a selector is a name in DNS", name(`"a b"`), "spec.dkim.keys[0].name", "RFC 6376 section 3.1"},
		{"a name has no dot", name(`a.b`), "spec.dkim.keys[0].name", "lower-case letters, digits and hyphens"},
		{"a name has no capitals", name(`Rsa`), "spec.dkim.keys[0].name", "lower-case"},
		{"a name leaves room for the hash", name(label63), "spec.dkim.keys[0].name", "40"},
		{"DSA is no algorithm of DKIM", keys(`{name: a, algorithm: DSA, secretName: x}`), "spec.dkim.keys[0].algorithm", "Unsupported value"},
		{"1024 bits are weak", keys(`{name: a, algorithm: RSA, size: 1024, secretName: x}`), "spec.dkim.keys[0].size", "Unsupported value"},
		{"8192 bits are not read", keys(`{name: a, algorithm: RSA, size: 8192, secretName: x}`), "spec.dkim.keys[0].size", "Unsupported value"},
		{"Ed25519 has one size", keys(`{name: a, algorithm: Ed25519, size: 2048, secretName: x}`), "spec.dkim.keys[0].size", "RFC 8463 section 4"},
		{"a Secret has a name", secret(`"a_b"`), "spec.dkim.keys[0].secretName", "RFC 1123"},
		{"the store of another key is not the signer's Secret", secret(`a-dane-dkim`), "spec.dkim.keys[0].secretName", "-dane-dkim"},
		{"never by time", rotation(`{every: 0s}`), "", ""},
		{"old keys would pile up", rotation(`{every: 24h, keepRetired: 25h}`), "spec.dkim.rotation.keepRetired", "pile up"},
		{"old keys would pile up by what is absent", rotation(`{every: 24h}`), "spec.dkim.rotation.keepRetired", "pile up"},
		{"a time is not negative", rotation(`{keepRetired: -1h}`), "spec.dkim.rotation.keepRetired", ""},
		{"a year is kept at the most", rotation(`{every: 87600h, keepRetired: 8761h}`), "spec.dkim.rotation.keepRetired", "between 0s and 8760h"},
		{"old keys are removed", rotation(`{retired: Remove}`), "", ""},
		{"old keys are revoked", rotation(`{retired: Revoke, keepRevoked: 24h}`), "", ""},
		{"old keys are revoked for as long as they were kept", rotation(`{every: 24h, keepRetired: 12h, retired: Revoke}`), "", ""},
		{"nothing else becomes of them", rotation(`{retired: Keep}`), "spec.dkim.rotation.retired", "Unsupported value"},
		{"what is removed is not kept", rotation(`{keepRevoked: 24h}`), "spec.dkim.rotation.keepRevoked", "retired: Revoke"},
		{"what is removed is not kept, be it said", rotation(`{retired: Remove, keepRevoked: 24h}`), "spec.dkim.rotation.keepRevoked", "retired: Revoke"},
		{"revoked keys would pile up", rotation(`{every: 24h, keepRetired: 12h, retired: Revoke, keepRevoked: 25h}`), "spec.dkim.rotation.keepRevoked", "pile up"},
		{"a revoked key is kept for a year at the most", rotation(`{every: 0s, retired: Revoke, keepRevoked: 8761h}`), "spec.dkim.rotation.keepRevoked", "between 0s and 8760h"},
		{"a TTL of 0 is not cached", `{dkim: {keys: [{name: a, algorithm: RSA, secretName: x}], ttl: 0}}`, "spec.dkim.ttl", "greater than or equal to 1"},
		{"a TTL of a day at the most", `{dkim: {keys: [{name: a, algorithm: RSA, secretName: x}], ttl: 86401}}`, "spec.dkim.ttl", "less than or equal to 86400"},
	})
}
