// Package door lets those get the metrics, and the page of the operator, whom the API server knows and permits it: the
// bearer token of a request is put to the API server (TokenReview), and then whether its owner may do the request
// (SubjectAccessReview on the path, a nonResourceURL, or on objects). It is what controller-runtime's filter of the same
// purpose does, without the libraries of a whole API server, which are a quarter of all packages of the operator with it.
package door

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// admittedFor and refusedFor are how long an answer of the API server counts: for so long a right that was taken
	// away goes on, and one that was given is missing.
	admittedFor = time.Minute
	refusedFor  = 10 * time.Second
	// maxKept is how many answers are kept: whoever reaches the port can make any number of tokens up.
	maxKept = 256
	// maxAsking is how many requests ask the API server at once; others wait.
	maxAsking = 4
	// patience is how long the API server is waited for.
	patience = 10 * time.Second
	// longestToken is the most that is sent on, in octets.
	longestToken = 16 << 10
)

// Reviewer asks the API server. It is used by many goroutines.
type Reviewer interface {
	// Authenticate says who has a token; ok is false when nobody has.
	Authenticate(ctx context.Context, token string) (user authenticationv1.UserInfo, ok bool, err error)
	// Authorize says whether somebody may do something.
	Authorize(ctx context.Context, user authenticationv1.UserInfo, a Access) (bool, error)
}

// Access is what somebody wants to do: something with a path, or with objects of a kind.
type Access struct {
	// Verb as RBAC knows it, such as get or list.
	Verb string
	// Path is a nonResourceURL; empty for objects.
	Path string
	// Group and Resource name the kind of objects, and Namespace where they are: empty is everywhere.
	Group, Resource, Namespace string
}

// Door is what requests have to pass.
type Door struct {
	reviewer Reviewer
	clock    clock.PassiveClock
	asking   chan struct{}

	mu   sync.Mutex
	kept map[question]answer
}

// question is what is asked about: by a digest, so that no token is kept.
type question struct {
	token [sha256.Size]byte
	Access
}

// answer is an HTTP status and until when it counts.
type answer struct {
	status int
	until  time.Time
}

// New makes a Door.
func New(r Reviewer, c clock.PassiveClock) *Door {
	return &Door{reviewer: r, clock: c, asking: make(chan struct{}, maxAsking), kept: map[question]answer{}}
}

// Provider makes the filter for a metrics server of controller-runtime.
func Provider(c clock.PassiveClock) func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
	return func(config *rest.Config, httpClient *http.Client) (metricsserver.Filter, error) {
		r, err := NewReviewer(config, httpClient)
		if err != nil {
			return nil, err
		}
		return New(r, c).Filter, nil
	}
}

// NewReviewer makes what asks the real API server.
func NewReviewer(config *rest.Config, httpClient *http.Client) (Reviewer, error) {
	tokens, err := authenticationclient.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("make a client for TokenReviews: %w", err)
	}
	access, err := authorizationclient.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("make a client for SubjectAccessReviews: %w", err)
	}
	return apiServer{tokens, access}, nil
}

// Filter puts the door before a handler. What goes wrong is logged once for each request that it fails.
func (d *Door) Filter(log logr.Logger, inside http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := d.Ask(r.Context(), Bearer(r), Access{Verb: strings.ToLower(r.Method), Path: r.URL.Path})
		switch {
		case err != nil:
			log.Error(err, "it could not be found out who asks for metrics, and whether he may")
			http.Error(w, "the API server could not be asked", http.StatusInternalServerError)
		case status == http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a bearer token that the API server knows is needed", status)
		case status != http.StatusOK:
			http.Error(w, "the owner of the token may not get "+r.URL.Path+": bind him to a ClusterRole with that nonResourceURL", status)
		default:
			inside.ServeHTTP(w, r)
		}
	}), nil
}

// Bearer is the token that a request presents; empty where it presents none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Ask says whether the owner of a token may do something, as an HTTP status: 200, 401 (nobody knows the token) or 403. An
// error is that of the API server, or of ctx.
func (d *Door) Ask(ctx context.Context, token string, a Access) (int, error) {
	if token == "" || len(token) > longestToken {
		return http.StatusUnauthorized, nil
	}
	q := question{sha256.Sum256([]byte(token)), a}
	if status, ok := d.recall(q); ok {
		return status, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case d.asking <- struct{}{}:
		defer func() { <-d.asking }()
	case <-ctx.Done():
		return 0, fmt.Errorf("too many others ask: %w", ctx.Err())
	}
	status, err := d.review(ctx, token, q)
	if err != nil {
		return 0, err
	}
	d.keep(q, status)
	return status, nil
}

func (d *Door) review(ctx context.Context, token string, q question) (int, error) {
	user, known, err := d.reviewer.Authenticate(ctx, token)
	if err != nil {
		return 0, err
	}
	if !known {
		return http.StatusUnauthorized, nil
	}
	may, err := d.reviewer.Authorize(ctx, user, q.Access)
	if err != nil {
		return 0, err
	}
	if !may {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}

func (d *Door) recall(q question) (int, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.kept[q]
	return a.status, ok && d.clock.Now().Before(a.until)
}

// keep notes an answer, where there is room: those that have run out make some, and others are not pushed out.
func (d *Door) keep(q question, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, lasts := d.clock.Now(), refusedFor
	if status == http.StatusOK {
		lasts = admittedFor
	}
	if len(d.kept) >= maxKept {
		for k, a := range d.kept {
			if !now.Before(a.until) {
				delete(d.kept, k)
			}
		}
	}
	if len(d.kept) < maxKept {
		d.kept[q] = answer{status, now.Add(lasts)}
	}
}

// apiServer asks the real one.
type apiServer struct {
	tokens authenticationclient.AuthenticationV1Interface
	access authorizationclient.AuthorizationV1Interface
}

// Authenticate implements Reviewer.
func (s apiServer) Authenticate(ctx context.Context, token string) (authenticationv1.UserInfo, bool, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	review, err := s.tokens.TokenReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, false, fmt.Errorf("have a token reviewed (the operator needs the right to create tokenreviews): %w", err)
	}
	return review.Status.User, review.Status.Authenticated, nil
}

// Authorize implements Reviewer.
func (s apiServer) Authorize(ctx context.Context, user authenticationv1.UserInfo, a Access) (bool, error) {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
	}}
	if a.Path != "" {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: a.Path, Verb: a.Verb}
	} else {
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{Verb: a.Verb, Group: a.Group, Resource: a.Resource, Namespace: a.Namespace}
	}
	review, err := s.access.SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask what %s may do (the operator needs the right to create subjectaccessreviews): %w", user.Username, err)
	}
	return review.Status.Allowed, nil
}
