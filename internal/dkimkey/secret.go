package dkimkey

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// This file says what the Secrets hold. The signer's Secret has the key to sign with, in the forms that rspamd and OpenDKIM
// read. The private key is in an item that has its selector in its name, so that a signer which reads the selector and the
// key at different moments never joins the selector of one with the key of another. The store has the next key, and a copy
// of the one in use, so that neither is lost with one Secret.

// The items of the signer's Secret, beside those of KeyItems.
const (
	ItemSelector = "selector"
	ItemDomain   = "domain"
	// ItemMap is the map of domains and selectors that rspamd reads (selector_map).
	ItemMap = "selectors.map"
	// ItemKeyTable and ItemSigningTable are those of OpenDKIM, with its BaseDirectory where the Secret is mounted: the key
	// itself would not fit into a line of the table.
	ItemKeyTable     = "KeyTable"
	ItemSigningTable = "SigningTable"
)

// keySuffix and rspamdSuffix are behind the selector in the names of the items with its private key: in PEM form, and as
// rspamd reads it.
const keySuffix, rspamdSuffix = ".key", ".rspamd"

// The items of the store.
const (
	itemCurrent, itemCurrentKey = "current", "current.key"
	itemNext, itemNextKey       = "next", "next.key"
)

// KeyItems are the items with the private key: SELECTOR.key in PEM form, and SELECTOR.rspamd. That is the same but for
// Ed25519, where rspamd reads the bare seed in base64 alone.
func KeyItems(k *Key) map[string][]byte {
	out := map[string][]byte{k.Selector + keySuffix: k.PEM, k.Selector + rspamdSuffix: k.PEM}
	if private, ok := k.private.(ed25519.PrivateKey); ok {
		out[k.Selector+rspamdSuffix] = []byte(base64.StdEncoding.EncodeToString(private.Seed()) + "\n")
	}
	return out
}

// SignerItems are the items of the signer's Secret for a key. Former are those of keys that were in use before and may
// still be: a signer that has not read the new selector yet finds its key.
func SignerItems(domain string, k *Key, former map[string][]byte) map[string][]byte {
	out := maps.Clone(former)
	if out == nil {
		out = map[string][]byte{}
	}
	maps.Copy(out, KeyItems(k))
	maps.Copy(out, map[string][]byte{
		ItemSelector:     []byte(k.Selector),
		ItemDomain:       []byte(domain),
		ItemMap:          []byte(domain + " " + k.Selector + "\n"),
		ItemKeyTable:     []byte(k.Selector + " " + domain + ":" + k.Selector + ":./" + k.Selector + keySuffix + "\n"),
		ItemSigningTable: []byte("*@" + domain + " " + k.Selector + "\n"),
	})
	return out
}

// FormerItems are the items with private keys in a signer's Secret of selectors that are still published.
func FormerItems(signer map[string][]byte, published []string) map[string][]byte {
	out := map[string][]byte{}
	for item, text := range signer {
		for _, suffix := range []string{keySuffix, rspamdSuffix} {
			if selector, ok := strings.CutSuffix(item, suffix); ok && slices.Contains(published, selector) {
				out[item] = text
			}
		}
	}
	return out
}

// SameItems says whether two Secrets hold the same.
func SameItems(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// StoreItems are the items of the store; next may be nil.
func StoreItems(current, next *Key) map[string][]byte {
	out := map[string][]byte{}
	if current != nil {
		out[itemCurrent], out[itemCurrentKey] = []byte(current.Selector), current.PEM
	}
	if next != nil {
		out[itemNext], out[itemNextKey] = []byte(next.Selector), next.PEM
	}
	return out
}

// Held are the keys that the Secrets hold: the one in use, and the next; nil where there is none.
type Held struct {
	Current, Next *Key
}

// Hold finds the keys in the items of the signer's Secret and of the store. What cannot be read is not there: it is made
// anew. The signer's Secret is the last to change in a rotation, so that a selector in it that is the next one of the store
// is in use; what else stands in it, by whosever hand, gives way to the store, which has a copy.
func Hold(name string, signer, store map[string][]byte) Held {
	inUse := readItems(name, string(signer[ItemSelector]), signer[string(signer[ItemSelector])+keySuffix])
	current := readItems(name, string(store[itemCurrent]), store[itemCurrentKey])
	next := readItems(name, string(store[itemNext]), store[itemNextKey])
	switch {
	case next != nil && inUse != nil && inUse.Selector == next.Selector:
		return Held{Current: next}
	case current == nil:
		current = inUse
	}
	return Held{Current: current, Next: next}
}

func readItems(name, selector string, text []byte) *Key {
	k, err := Read(name, selector, text)
	if err != nil {
		return nil
	}
	return k
}
