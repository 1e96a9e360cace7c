package controllers

import (
	"slices"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestRequestNames wants the names of every request that cert-manager may have made, or an honest "no".
func TestRequestNames(t *testing.T) {
	revision := func(n int) *int { return &n }
	known := func(name, revision string) cmapi.CertificateRequest {
		return cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{
			Name: name, Annotations: map[string]string{cmapi.CertificateRequestRevisionAnnotationKey: revision},
		}}
	}
	rows := []struct {
		reason   string
		revision *int
		known    []cmapi.CertificateRequest
		names    []string
		ok       bool
	}{
		{"the renewal's request may be there and not in the cache", revision(3), []cmapi.CertificateRequest{known("mx-3", "3")}, []string{"mx-3", "mx-4"}, true},
		{"the cache shows it, and it may have been replaced", revision(3), []cmapi.CertificateRequest{known("mx-3", "3"), known("mx-4", "4")}, []string{"mx-3", "mx-4", "mx-5"}, true},
		{"the revision in status may lag", nil, []cmapi.CertificateRequest{known("mx-1", "1")}, []string{"mx-0", "mx-1", "mx-2"}, true},
		{"names that end in random letters tell nothing", revision(3), []cmapi.CertificateRequest{known("mx-x7k2p", "3")}, nil, false},
		{"without any there is nothing to tell by", revision(3), nil, nil, false},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Name: "mx"}, Status: cmapi.CertificateStatus{Revision: row.revision}}
			if names, ok := requestNames(crt, row.known); ok != row.ok || !slices.Equal(names, row.names) {
				t.Errorf("%v %t, want %v %t", names, ok, row.names, row.ok)
			}
		})
	}
}

// TestLiveRequestsAreReadByName has a request that the cache does not show: it is found by its name, and
// the other requests of the namespace are not asked for.
func TestLiveRequestsAreReadByName(t *testing.T) {
	crt := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "mx", UID: "mx-uid"}}
	first, _ := request(t)
	second, _ := request(t)
	second.Name, second.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] = "mx-2", "2"
	lists := 0
	live := countingLists(t, &lists, crt, first, second)
	r := keyReader{cached: fakeClient(t, crt, first), live: live}.direct()
	found, err := r.requests(t.Context(), crt)
	if err != nil || len(found) != 2 || found[1].Name != "mx-2" || lists != 0 {
		t.Errorf("%d requests, %d lists, %v; want the two and no list", len(found), lists, err)
	}
}
