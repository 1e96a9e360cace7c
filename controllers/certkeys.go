package controllers

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/rollover"
	"github.com/dane-operator/dane-operator/internal/tlsa"
)

// requestNameAnnotation is what cert-manager writes on a request to say which Certificate it is for.
const requestNameAnnotation = "cert-manager.io/certificate-name"

// certificateFacts is what the cluster's objects say of one Certificate and its keys.
type certificateFacts struct {
	certificate *cmapi.Certificate
	// pending is the request that waits for approval; nil when there is none.
	pending *cmapi.CertificateRequest
	// unissued is the newest request that was approved and has no certificate yet; nil when there is none.
	unissued *cmapi.CertificateRequest
	// current is the chain in the Certificate's own Secret, leaf first; empty before the first issuance.
	current []*x509.Certificate
	// issued is the Certificate's own Secret, with strategy Stage: what is copied.
	issued *corev1.Secret
	// serving is the Secret that the server mounts, with strategy Stage.
	serving *corev1.Secret
	// standby is the Secret of the standby key, with strategy Gate; without its data where the public half
	// is remembered.
	standby *corev1.Secret
	// standbySPKI is the public key of the standby key (DER); empty when there is none.
	standbySPKI []byte
	keys        []rollover.Key
	// problems are what could not be read; while there are any, nothing is removed.
	problems []string
}

// keyReader reads keys of Certificates. Requests come from the cache, Secrets are read live and by
// name: key material is never cached.
type keyReader struct {
	cached client.Reader
	live   client.Reader
	// standbys remembers the public halves of standby keys; nil remembers none.
	standbys *standbyMemory
	// named is, when cached is the API server itself, the cache: it names the requests to ask for.
	named client.Reader
}

// direct is a reader that asks the API server for everything.
func (r keyReader) direct() keyReader {
	return keyReader{cached: r.live, live: r.live, named: r.cached}
}

// read gathers what is known of one Certificate. A Certificate that does not exist is reported by
// certificate == nil.
func (r keyReader) read(ctx context.Context, md *v1alpha1.MailDomain, ref v1alpha1.CertificateReference, sets parameterSets) (*certificateFacts, error) {
	f := &certificateFacts{}
	crt := &cmapi.Certificate{}
	err := r.cached.Get(ctx, types.NamespacedName{Namespace: md.Namespace, Name: ref.Name}, crt)
	if apierrors.IsNotFound(err) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Certificate %s/%s: %w", md.Namespace, ref.Name, err)
	}
	f.certificate = crt
	requests, err := r.requests(ctx, crt)
	if err != nil {
		return nil, err
	}
	stage := md.Spec.Rollover.Strategy == v1alpha1.StrategyStage
	b := keyBuilder{facts: f, sets: sets, name: crt.Name, byCertificate: stage}
	if stage {
		r.readStage(ctx, &b, ref)
	} else {
		r.readRequests(ctx, &b, requests)
	}
	if md.Spec.Rollover.KeepsStandbyKey() {
		r.readStandby(ctx, &b)
	}
	return f, nil
}

// requests of a Certificate, oldest first.
func (r keyReader) requests(ctx context.Context, crt *cmapi.Certificate) ([]cmapi.CertificateRequest, error) {
	if r.named != nil {
		return r.liveRequests(ctx, crt)
	}
	return ownedRequests(ctx, r.cached, crt, client.MatchingFields{requestIndex: crt.Name})
}

// revision of a request, as cert-manager counts the issuances of a Certificate.
func revision(cr *cmapi.CertificateRequest) int {
	n, err := strconv.Atoi(cr.Annotations[cmapi.CertificateRequestRevisionAnnotationKey])
	if err != nil {
		return 0
	}
	return n
}

func requestCondition(cr *cmapi.CertificateRequest, kind cmapi.CertificateRequestConditionType) (cmmeta.ConditionStatus, string) {
	for _, c := range cr.Status.Conditions {
		if c.Type == kind {
			return c.Status, c.Reason
		}
	}
	return "", ""
}

func isTrue(cr *cmapi.CertificateRequest, kind cmapi.CertificateRequestConditionType) bool {
	status, _ := requestCondition(cr, kind)
	return status == cmmeta.ConditionTrue
}

// isOver says that a request came to nothing.
func isOver(cr *cmapi.CertificateRequest) bool {
	_, reason := requestCondition(cr, cmapi.CertificateRequestConditionReady)
	return reason == cmapi.CertificateRequestReasonFailed || reason == cmapi.CertificateRequestReasonDenied ||
		isTrue(cr, cmapi.CertificateRequestConditionDenied) || isTrue(cr, cmapi.CertificateRequestConditionInvalidRequest)
}

// isIssuing says that cert-manager is renewing the Certificate.
func isIssuing(crt *cmapi.Certificate) bool {
	return slices.ContainsFunc(crt.Status.Conditions, func(c cmapi.CertificateCondition) bool {
		return c.Type == cmapi.CertificateConditionIssuing && c.Status == cmmeta.ConditionTrue
	})
}

// readRequests finds the keys of strategies Gate and Follow: the server mounts the Certificate's own
// Secret, so that an approved request is a key that nothing holds back any more.
func (r keyReader) readRequests(ctx context.Context, b *keyBuilder, requests []cmapi.CertificateRequest) {
	current := 0
	if n := b.facts.certificate.Status.Revision; n != nil {
		current = *n
	}
	var open []*cmapi.CertificateRequest
	for i := range requests {
		cr := &requests[i]
		switch {
		case isOver(cr) || revision(cr) < current:
		case isTrue(cr, cmapi.CertificateRequestConditionReady):
			b.issued(cr)
		default:
			open = append(open, cr)
		}
	}
	// Without a request that was fulfilled, the Secret may still hold a chain: requests are tidied up,
	// and a Certificate may have been restored over its Secret.
	if len(b.facts.current) == 0 {
		r.readOwnSecret(ctx, b, rollover.StageDeployed)
	}
	for _, cr := range open {
		if isTrue(cr, cmapi.CertificateRequestConditionApproved) {
			b.facts.unissued = cr
			b.request(rollover.StageDeployed, cr)
			continue
		}
		b.facts.pending = cr
		b.request(rollover.StageRequested, cr)
	}
}

// readOwnSecret finds the current chain in the Certificate's own Secret, where its request is gone.
func (r keyReader) readOwnSecret(ctx context.Context, b *keyBuilder, stage rollover.KeyStage) *corev1.Secret {
	crt := b.facts.certificate
	secret, err := r.secret(ctx, crt.Namespace, crt.Spec.SecretName)
	if err != nil {
		b.problem("Secret %s of Certificate %s cannot be read: %v", crt.Spec.SecretName, crt.Name, err)
		return nil
	}
	if secret == nil || len(secret.Data[corev1.TLSCertKey]) == 0 {
		return nil
	}
	chain, err := tlsa.ParseChain(secret.Data[corev1.TLSCertKey])
	if err != nil {
		b.problem("tls.crt of Secret %s cannot be read: %v", crt.Spec.SecretName, err)
		return nil
	}
	b.facts.current = chain
	b.chain(stage, chain)
	return secret
}

// readStage finds the keys of strategy Stage: what the server mounts, and what waits to be copied.
func (r keyReader) readStage(ctx context.Context, b *keyBuilder, ref v1alpha1.CertificateReference) {
	crt := b.facts.certificate
	serving, err := r.secret(ctx, crt.Namespace, ref.ServingSecretName)
	if err != nil {
		b.problem("serving Secret %s cannot be read: %v", ref.ServingSecretName, err)
	}
	b.facts.serving = serving
	if serving != nil && len(serving.Data[corev1.TLSCertKey]) > 0 {
		chain, err := tlsa.ParseChain(serving.Data[corev1.TLSCertKey])
		if err != nil {
			b.problem("tls.crt of serving Secret %s cannot be read: %v", ref.ServingSecretName, err)
		} else {
			b.chain(rollover.StageDeployed, chain)
		}
	}
	b.facts.issued = r.readOwnSecret(ctx, b, rollover.StageIssued)
}

// readStandby finds the standby key.
func (r keyReader) readStandby(ctx context.Context, b *keyBuilder) {
	crt := b.facts.certificate
	if known, spki, ok := r.standbys.recall(ctx, r.cached, crt); ok {
		if known != nil {
			b.facts.standby, b.facts.standbySPKI = known, spki
			b.spki(rollover.StageStandby, spki)
		}
		return
	}
	secret, err := r.secret(ctx, crt.Namespace, standbySecretName(crt.Name))
	if err != nil {
		b.problem("standby Secret %s cannot be read: %v", standbySecretName(crt.Name), err)
		return
	}
	if secret == nil {
		return
	}
	b.facts.standby = secret
	spki, err := tlsa.SPKIFromPrivateKey(secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		b.problem("the key in standby Secret %s cannot be read: %v", secret.Name, err)
		return
	}
	b.facts.standbySPKI = spki
	b.spki(rollover.StageStandby, spki)
	r.standbys.remember(secret, spki)
}

// secret reads a Secret live; nil when it does not exist.
func (r keyReader) secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return secret, err
}

// keyBuilder turns chains, requests and public keys into the rule's keys.
type keyBuilder struct {
	facts *certificateFacts
	sets  parameterSets
	name  string
	// byCertificate says that a key is named by its certificate too: with strategy Stage a renewal
	// that keeps the key may change records (3 0 x, 2 x x), and is held back like a new key.
	byCertificate bool
}

func (b *keyBuilder) problem(format string, args ...any) {
	b.facts.problems = append(b.facts.problems, fmt.Sprintf(format, args...))
}

// issued adds the key of a request that has its certificate.
func (b *keyBuilder) issued(cr *cmapi.CertificateRequest) {
	chain, err := tlsa.ParseChain(cr.Status.Certificate)
	if err != nil {
		b.problem("the certificate in CertificateRequest %s cannot be read: %v", cr.Name, err)
		return
	}
	b.facts.current = chain
	b.chain(rollover.StageDeployed, chain)
}

// chain adds the key of an issued chain.
func (b *keyBuilder) chain(stage rollover.KeyStage, chain []*x509.Certificate) {
	records, err := tlsa.Associations(chain, b.sets.wanted)
	if err != nil {
		b.problem("Certificate %s: %v", b.name, err)
	}
	leaving, _ := tlsa.Associations(chain, b.sets.leaving) // a chain without its authority may be why such a set leaves
	leaf := chain[0]
	spki := tlsa.SPKISHA256(leaf.RawSubjectPublicKeyInfo)
	key := rollover.Key{
		ID: spki, SPKI: spki, Certificate: b.name, Stage: stage, Records: records, Leaving: leaving,
		Serial: serialOf(leaf), NotAfter: leaf.NotAfter,
	}
	if b.byCertificate && dependsOnCertificate(b.sets.wanted) {
		key.ID += "/" + key.Serial
	}
	b.add(key)
}

// request adds the key of a request that has no certificate yet.
func (b *keyBuilder) request(stage rollover.KeyStage, cr *cmapi.CertificateRequest) {
	spki, err := tlsa.SPKIFromCSR(cr.Spec.Request)
	if err != nil {
		b.problem("the request in CertificateRequest %s cannot be read: %v", cr.Name, err)
		return
	}
	b.spki(stage, spki)
}

// spki adds a key of which only the public half is known. What its issuer will be is taken from the
// chain in use: the same Certificate has the same issuer.
func (b *keyBuilder) spki(stage rollover.KeyStage, spki []byte) {
	records := tlsa.KeyAssociations(spki, b.sets.wanted)
	var leaving []tlsa.Record
	if len(b.facts.current) > 0 {
		if issuer, err := tlsa.Associations(b.facts.current, issuerParameters(b.sets.wanted)); err == nil {
			records = append(records, issuer...)
		}
		leaving, _ = tlsa.Associations(b.facts.current, b.sets.leaving)
	}
	id := tlsa.SPKISHA256(spki)
	b.add(rollover.Key{ID: id, SPKI: id, Certificate: b.name, Stage: stage, Records: tlsa.Normalize(records), Leaving: leaving})
}

// stageOrder ranks the stages by how far the key has come.
var stageOrder = []rollover.KeyStage{rollover.StageStandby, rollover.StageRequested, rollover.StageIssued, rollover.StageDeployed}

// add adds a key, or keeps the further stage of one that is there already.
func (b *keyBuilder) add(key rollover.Key) {
	for i := range b.facts.keys {
		have := &b.facts.keys[i]
		if have.ID != key.ID {
			continue
		}
		if slices.Index(stageOrder, key.Stage) > slices.Index(stageOrder, have.Stage) {
			*have = key
		}
		return
	}
	b.facts.keys = append(b.facts.keys, key)
}

// dependsOnCertificate says whether some record depends on more of the chain than the leaf's key.
func dependsOnCertificate(params []tlsa.Parameters) bool {
	return slices.ContainsFunc(params, func(p tlsa.Parameters) bool {
		return p.Usage != tlsa.UsageDANEEE || p.Selector != tlsa.SelectorSPKI
	})
}

// issuerParameters are the parameter sets that depend on the issuer.
func issuerParameters(params []tlsa.Parameters) []tlsa.Parameters {
	var out []tlsa.Parameters
	for _, p := range params {
		if p.Usage == tlsa.UsageDANETA {
			out = append(out, p)
		}
	}
	return out
}
