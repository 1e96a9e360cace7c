package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dkimkey"
	"github.com/dane-operator/dane-operator/internal/mailrecord"
	"github.com/dane-operator/dane-operator/internal/zone"
)

const (
	bedSecret = "dkim-ed"
	bedStore  = bedSecret + v1alpha1.DKIMStoreSuffix
	// bedDenied is how long caches keep a denial in the zone of the bed, and bedTTL how long a record.
	bedDenied, bedTTL = 40 * time.Minute, 20 * time.Minute
)

// dkimBed is a MailDomain with one key of DKIM, a signer, and receivers with caches.
type dkimBed struct {
	*recordBed
	zone *dkimZone
	// effects are counted; the operator is killed at that number: before it takes effect, or after it.
	effects, killAt int
	after           bool
	killed          bool
	// loaded are the items of the Secret that the signer has loaded, and fresh those that it loads next.
	loaded, fresh map[string][]byte
	freshAt       time.Time
	// under is mail that is under way, by the selector: all of one selector is alike.
	under    map[string]signedMail
	transit  time.Duration
	failures []string
	used     map[string]bool
}

type signedMail struct {
	selector string
	message  []byte
	until    time.Time
}

// dkimZone is the zone of the bed. A second server lags, and caches keep what either has shown.
type dkimZone struct {
	*keptZone
	bed *dkimBed
	// late is what the second server shows, until it follows at the instant.
	late map[zone.SetName][]string
	when map[zone.SetName]time.Time
	// shown says when each answer was last given.
	shown map[zone.SetName]map[string]time.Time
	// silent says that the second server does not answer.
	silent bool
}

const bedLag = 7 * time.Minute

func (z *dkimZone) follow() {
	for name, at := range z.when {
		if !z.clock.Now().Before(at) {
			delete(z.late, name)
			delete(z.when, name)
		}
	}
}

// answers are those that the servers give now.
func (z *dkimZone) answers(name zone.SetName) [][]string {
	z.follow()
	out := [][]string{z.sets[name]}
	if late, ok := z.late[name]; ok {
		out = append(out, late)
	}
	return out
}

func (z *dkimZone) SweepSets(asked []zone.SetName, _ bool, done func([]zone.SetSweep)) {
	z.sweeps++
	var out []zone.SetSweep
	for _, name := range asked {
		s := zone.SetSweep{Start: z.clock.Now(), End: z.clock.Now()}
		for i, server := range []string{"ns1", "ns2"} {
			all := z.answers(name)
			a := zone.SetAnswer{Name: server, Address: server, Reachable: true, Signed: true, Primary: i == 0, Data: all[min(i, len(all)-1)], TTL: bedTTL, CacheTTL: bedTTL}
			if i == 1 && z.silent {
				a = zone.SetAnswer{Name: server, Address: server, Message: "down"}
			}
			if len(a.Data) == 0 {
				a.CacheTTL = bedDenied
			}
			s.Answers = append(s.Answers, a)
		}
		out = append(out, s)
	}
	done(out)
}

func (z *dkimZone) PublishSet(c zone.SetChange, done func(zone.Result)) {
	if z.bed.effect() {
		return
	}
	before := slices.Clone(z.sets[c.SetName])
	z.keptZone.PublishSet(c, func(r zone.Result) {
		if r.Class == zone.Applied {
			z.late[c.SetName], z.when[c.SetName] = before, z.clock.Now().Add(bedLag)
		}
		if !z.bed.killed {
			done(r)
		}
	})
}

// effect counts one, and says whether it does not happen any more.
func (b *dkimBed) effect() bool {
	b.effects++
	if b.killed {
		return true
	}
	if b.effects == b.killAt {
		b.killed = true
		return !b.after
	}
	return false
}

var errKilled = errors.New("the operator was killed")

func newDKIMBed(t *testing.T, edit func(*v1alpha1.MailDomainSpec), more ...client.Object) *dkimBed {
	d := &dkimBed{used: map[string]bool{}, under: map[string]signedMail{}, transit: bedTransit}
	d.recordBed = newRecordBed(t, func(s *v1alpha1.MailDomainSpec) {
		s.DKIM = &v1alpha1.DKIMSpec{Keys: []v1alpha1.DKIMKeySpec{{Name: "ed", Algorithm: v1alpha1.DKIMEd25519, SecretName: bedSecret}},
			Rotation: &v1alpha1.DKIMRotationSpec{Every: "4h", KeepRetired: "3h"}}
		edit(s)
	}, more...)
	writes := interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return d.kills(func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return d.kills(func() error { return c.Update(ctx, o, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return d.kills(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
	}
	d.api = interceptor.NewClient(d.api.(client.WithWatch), writes)
	d.zone = &dkimZone{keptZone: d.recordBed.zone, bed: d, late: map[zone.SetName][]string{}, when: map[zone.SetName]time.Time{}, shown: map[zone.SetName]map[string]time.Time{}}
	d.begin()
	return d
}

func (b *dkimBed) kills(do func() error) error {
	if b.effect() {
		return errKilled
	}
	if err := do(); err != nil || !b.killed {
		return err
	}
	return errKilled
}

// begin starts the operator anew.
func (b *dkimBed) begin() {
	b.killed = false
	b.restart()
	b.r.zones.update(types.NamespacedName{Namespace: "mail", Name: "zone"}, func(e *zoneEntry) { e.client = b.zone })
}

// tick reconciles, starts the operator anew where it was killed, and has mail signed and received.
func (b *dkimBed) tick(d time.Duration) {
	b.Helper()
	b.clock.Step(d)
	for range 10 {
		before := b.effects + b.zone.sweeps
		_, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: recordName})
		if err != nil && !b.killed {
			b.Fatal(err)
		}
		if b.killed {
			b.begin()
			continue
		}
		if before == b.effects+b.zone.sweeps {
			break
		}
	}
	b.mail()
}

// mail has the signer sign with what it has loaded, and receivers verify all mail under way with every answer that a
// cache may have. The signer loads a new Secret after some minutes.
func (b *dkimBed) mail() {
	b.Helper()
	b.cache()
	if secret := b.secret(bedSecret); secret != nil && secret.Data[dkimkey.ItemSelector] != nil && !dkimkey.SameItems(secret.Data, b.fresh) {
		b.fresh, b.freshAt = secret.Data, b.clock.Now().Add(5*time.Minute)
	}
	if !b.clock.Now().Before(b.freshAt) {
		b.loaded = b.fresh
	}
	if b.loaded != nil {
		m := b.sign()
		b.under[m.selector] = m
	}
	for _, m := range b.under {
		if !b.clock.Now().After(m.until) {
			b.verify(m)
		}
	}
}

// cache notes what servers show of every selector there was.
func (b *dkimBed) cache() {
	names := map[zone.SetName]bool{}
	for name := range b.zone.sets {
		names[name] = true
	}
	for selector := range b.used {
		names[keySet(selector)] = true
	}
	for _, s := range b.get().Status.DKIM {
		for _, k := range s.Keys {
			names[keySet(k.Selector)] = true
		}
	}
	for name := range names {
		if b.zone.shown[name] == nil {
			b.zone.shown[name] = map[string]time.Time{}
		}
		for _, data := range b.zone.answers(name) {
			b.zone.shown[name][strings.Join(data, "\n")] = b.clock.Now()
		}
	}
}

func keySet(selector string) zone.SetName {
	return zone.SetName{Owner: dkimkey.Owner(selector, "example.com"), Type: zone.TXT}
}

func (b *dkimBed) secret(name string) *corev1.Secret {
	b.Helper()
	secret := &corev1.Secret{}
	err := b.api.Get(b.Context(), types.NamespacedName{Namespace: "mail", Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		b.Fatal(err)
	}
	return secret
}

const mailText = "From: a@example.com\r\nTo: b@example.net\r\nSubject: test\r\nDate: Sun, 01 Mar 2026 12:00:00 +0000\r\n\r\nHello.\r\n"

// bedTransit is how long mail may be under way: less than keepRetired by what the signer takes to load a key, and a tick.
const bedTransit = 150 * time.Minute

// sign signs a message with the key that the signer has loaded.
func (b *dkimBed) sign() signedMail {
	b.Helper()
	selector := string(b.loaded[dkimkey.ItemSelector])
	k, err := dkimkey.Read("ed", selector, b.loaded[selector+".key"])
	if err != nil {
		b.Fatal(err)
	}
	b.used[selector] = true
	var out bytes.Buffer
	if m, ok := b.under[selector]; ok {
		m.until = b.clock.Now().Add(b.transit)
		return m
	}
	options := &dkim.SignOptions{Domain: string(b.loaded[dkimkey.ItemDomain]), Selector: selector, Signer: k.Signer()}
	if err := dkim.Sign(&out, strings.NewReader(mailText), options); err != nil {
		b.Fatal(err)
	}
	return signedMail{selector: selector, message: out.Bytes(), until: b.clock.Now().Add(b.transit)}
}

// verify verifies a message once for each answer that a cache may have.
func (b *dkimBed) verify(m signedMail) {
	b.Helper()
	for data, at := range b.zone.shown[keySet(m.selector)] {
		kept := bedTTL
		if data == "" {
			kept = bedDenied
		}
		if b.clock.Now().After(at.Add(kept)) {
			continue
		}
		if err := verifyBy(m.message, data); err != nil {
			b.failures = append(b.failures, fmt.Sprintf("%s: mail of %s, by the answer %q: %v", b.clock.Now().Sub(paceNow), m.selector, data, err))
		}
	}
}

// verified keeps what a message and an answer came to: that is the same each time.
var verified = map[string]error{}

func verifyBy(message []byte, data string) error {
	if err, ok := verified[string(message)+data]; ok {
		return err
	}
	err := verifyAnew(message, data)
	verified[string(message)+data] = err
	return err
}

func verifyAnew(message []byte, data string) error {
	if data == "" {
		return errors.New("there is no such record")
	}
	text, err := mailrecord.Unquote(data)
	if err != nil {
		return err
	}
	results, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{text}, nil }})
	if err != nil || len(results) != 1 {
		return fmt.Errorf("%d signatures: %w", len(results), err)
	}
	return results[0].Err
}

// row is the status of the key.
func (b *dkimBed) key() *v1alpha1.DKIMStatus {
	b.Helper()
	s := b.get().Status.DKIMKey("ed")
	if s == nil {
		b.Fatal("status has no such key")
	}
	return s
}

// until ticks until something is so.
func (b *dkimBed) until(what string, is func() bool) {
	b.Helper()
	for range 1000 {
		if is() {
			return
		}
		b.tick(15 * time.Minute)
	}
	b.Fatalf("%s never comes: %+v", what, b.get().Status.DKIM)
}

// inUse waits until the key is in use.
func (b *dkimBed) inUse() {
	b.Helper()
	b.until("a key in use", func() bool {
		s := b.get().Status.DKIMKey("ed")
		return s != nil && s.State == v1alpha1.DKIMInUse && b.loaded != nil
	})
}

// ready wants the condition to be so.
func (b *dkimBed) dkimReady(status metav1.ConditionStatus, reason string, words ...string) {
	b.Helper()
	c := meta.FindStatusCondition(b.get().Status.Conditions, v1alpha1.ConditionDKIMReady)
	if c == nil || c.Status != status || c.Reason != reason {
		b.Fatalf("the condition is %+v, want %s %s; %+v", c, status, reason, b.get().Status.DKIM)
	}
	for _, w := range words {
		if !strings.Contains(c.Message, w) {
			b.Errorf("the condition says %q, want %q", c.Message, w)
		}
	}
}

func (b *dkimBed) noFailures() {
	b.Helper()
	if len(b.failures) > 0 {
		b.Errorf("%d failures, such as %v", len(b.failures), b.failures[:min(len(b.failures), 3)])
	}
}
