package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MailRecordStatus is what stands of one record of the mail domain, and what is wanted.
type MailRecordStatus struct {
	// record is MX, TLSRPT, MTASTS, SPF, DMARC or DMARCReport. There may be several with TLSRPT, at different names: those
	// of mail servers come after that of the domain.
	// +required
	Record MailRecord `json:"record"`

	// name is where the record stands, without a trailing dot, and type is its type, MX or TXT.
	// +required
	Name string `json:"name"`
	// +required
	Type string `json:"type"`

	// zoneRef names the DNSZone that the record is written to; absent where none may be.
	// +optional
	ZoneRef *ZoneReference `json:"zoneRef,omitempty"`

	// state sums it up.
	// +required
	State MailRecordState `json:"state"`

	// since is when the record took its state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// found are the records of this kind that any authoritative server shows, as they stand in a zone file. Other TXT
	// records at the name are nobody's business here.
	// +optional
	// +listType=atomic
	Found []string `json:"found,omitempty"`

	// wanted are the records that the spec asks for; absent where it asks for none.
	// +optional
	// +listType=atomic
	Wanted []string `json:"wanted,omitempty"`

	// own are the records that the operator has published, or is about to. What else stands is somebody else's.
	// +optional
	// +listType=atomic
	Own []string `json:"own,omitempty"`

	// policy is the policy of MTA-STS, to be given at https://mta-sts.DOMAIN/.well-known/mta-sts.txt with these lines.
	// +optional
	Policy string `json:"policy,omitempty"`

	// leaving are mail servers that the wanted MX records do not name and that senders may still be sent to.
	// +optional
	// +listType=atomic
	Leaving []LeavingHost `json:"leaving,omitempty"`

	// message says what is wrong, or waited for, and what to do.
	// +optional
	Message string `json:"message,omitempty"`
}

// LeavingHost is a mail server that MX records do not name any more, or soon will not.
type LeavingHost struct {
	// hostname of the mail server.
	// +required
	Hostname string `json:"hostname"`
	// until is when no cache has MX records any more that name it; absent while some name server still does.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// MailRecordState sums up how a record stands.
// +kubebuilder:validation:Enum=Published;Publishing;Waiting;Conflict;Invalid;Refused;Removing;NotManaged;Unknown
type MailRecordState string

// The states of a record.
const (
	// MailRecordPublished: every authoritative server shows what is wanted.
	MailRecordPublished MailRecordState = "Published"
	// MailRecordPublishing: it is being written, or not every server shows it yet.
	MailRecordPublishing MailRecordState = "Publishing"
	// MailRecordWaiting: it is written once something else is done; message says what.
	MailRecordWaiting MailRecordState = "Waiting"
	// MailRecordConflict: a record stands there that the operator did not write. Nothing is written.
	MailRecordConflict MailRecordState = "Conflict"
	// MailRecordInvalid: what the spec asks for breaks a rule of the record. Nothing is written.
	MailRecordInvalid MailRecordState = "Invalid"
	// MailRecordRefused: the name may not be written, or the primary refuses it.
	MailRecordRefused MailRecordState = "Refused"
	// MailRecordRemoving: what the operator has written is taken out of DNS.
	MailRecordRemoving MailRecordState = "Removing"
	// MailRecordNotManaged: the spec does not ask for it. It is looked at and never written.
	MailRecordNotManaged MailRecordState = "NotManaged"
	// MailRecordUnknown: not enough is known of what stands there.
	MailRecordUnknown MailRecordState = "Unknown"
)

// Record is what is known of one of the records of the domain itself; nil when nothing is.
func (s *MailDomainStatus) Record(record MailRecord) *MailRecordStatus {
	for i := range s.Records {
		if s.Records[i].Record == record {
			return &s.Records[i]
		}
	}
	return nil
}

// RecordAt is what is known of a record at a name; nil when nothing is.
func (s *MailDomainStatus) RecordAt(record MailRecord, name string) *MailRecordStatus {
	for i := range s.Records {
		if s.Records[i].Record == record && s.Records[i].Name == name {
			return &s.Records[i]
		}
	}
	return nil
}
