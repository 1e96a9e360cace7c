package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReportsFieldManager is who owns status.tlsReports: the receiver of reports.
const ReportsFieldManager = "dane-operator-reports"

// TLSReportsStatus is what TLS reports (RFC 8460) say of the last seven days. The receiver of reports writes it
// ("dane-operator reports"), and the operator leaves it as it is. Everybody may post a report; one is proved when it came
// by mail with a DKIM signature that counts (RFC 8460 section 3), and only what is proved leads to anything.
type TLSReportsStatus struct {
	// lastReport is when the newest report came in, be it longer ago.
	// +optional
	LastReport *metav1.Time `json:"lastReport,omitempty"`
	// reports is how many there are.
	// +optional
	Reports int64 `json:"reports,omitempty"`
	// successfulSessions is how many sessions succeeded.
	// +optional
	SuccessfulSessions int64 `json:"successfulSessions,omitempty"`
	// failedSessions is how many sessions failed.
	// +optional
	FailedSessions int64 `json:"failedSessions,omitempty"`

	// results are the sessions that failed, by how, the most frequent first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=48
	Results []TLSReportResult `json:"results,omitempty"`

	// hosts are the sessions that failed, by mail server, in the order of the spec; last those with another host, or
	// one that the report does not tell.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=17
	Hosts []TLSReportHost `json:"hosts,omitempty"`

	// organizations are those that made the reports: those first whose reports are proved, then by the sessions that
	// failed. What is beyond sixteen is in the last one, which has no name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=17
	Organizations []TLSReportOrganization `json:"organizations,omitempty"`

	// failures are failures of DANE in reports that are proved, the newest first, sixteen at the most.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Failures []TLSReportFailure `json:"failures,omitempty"`
}

// Host is what reports say of a mail server; nil when none tells of a failure there.
func (s *TLSReportsStatus) Host(hostname string) *TLSReportHost {
	for i := range s.Hosts {
		if s.Hosts[i].Hostname == hostname {
			return &s.Hosts[i]
		}
	}
	return nil
}

// TLSReportResult is how many sessions failed in one way.
type TLSReportResult struct {
	// policy is the kind of policy that the sender followed: tlsa, sts, no-policy-found or other.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Policy string `json:"policy"`
	// result is the result-type of RFC 8460 section 4.3, or other.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Result string `json:"result"`
	// sessions is how many failed so.
	// +required
	Sessions int64 `json:"sessions"`
	// provedSessions is how many of them are in reports that are proved.
	// +optional
	ProvedSessions int64 `json:"provedSessions,omitempty"`
}

// TLSReportHost is how many sessions failed with one mail server.
type TLSReportHost struct {
	// hostname of the mail server; empty for all others.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Hostname string `json:"hostname,omitempty"`
	// failedSessions is how many failed with mail for the domain.
	// +optional
	FailedSessions int64 `json:"failedSessions,omitempty"`
	// lastDANEFailure is when the newest report came in that is proved and tells of a failure of DANE with this mail
	// server, be it with mail for the domain of another MailDomain that names it. Such a report holds back
	// that records of this mail server are taken out.
	// +optional
	LastDANEFailure *metav1.Time `json:"lastDANEFailure,omitempty"`
}

// TLSReportOrganization is what one organization has reported.
type TLSReportOrganization struct {
	// name of the organization, by its own account; empty for all that have no entry of their own.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name,omitempty"`
	// domain that signed the reports; empty where nothing proves who made them.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Domain string `json:"domain,omitempty"`
	// successfulSessions is how many sessions succeeded.
	// +optional
	SuccessfulSessions int64 `json:"successfulSessions,omitempty"`
	// failedSessions is how many sessions failed.
	// +optional
	FailedSessions int64 `json:"failedSessions,omitempty"`
}

// TLSReportFailure is a time in which sessions with one mail server failed in one way.
type TLSReportFailure struct {
	// domain that signed the reports.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Domain string `json:"domain"`
	// organization that made them, by its own account.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Organization string `json:"organization,omitempty"`
	// hostname of the mail server; empty where the reports do not tell.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Hostname string `json:"hostname,omitempty"`
	// result is the result-type of RFC 8460 section 4.3, or other.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Result string `json:"result"`
	// sessions is how many failed.
	// +required
	Sessions int64 `json:"sessions"`
	// from is when the time begins that the reports cover.
	// +required
	From metav1.Time `json:"from"`
	// to is when it ends.
	// +required
	To metav1.Time `json:"to"`
	// lastReport is when the newest of the reports came in.
	// +required
	LastReport metav1.Time `json:"lastReport"`
}
