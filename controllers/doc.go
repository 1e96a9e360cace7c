// Package controllers holds one thin reconciler per kind: MailDomain, DNSZone, and the gate on
// cert-manager's CertificateRequests. Each gathers facts, asks internal/rollover what follows from
// them, stores the decision in status, and only then acts. Nothing here decides when a key may be
// served or a record removed.
//
// DNS and mail servers are talked to outside the reconcile workers: a reconcile asks for a sweep, a
// probe round or an update, returns, and is woken when the answer is there. What was observed is
// handed to the rule once, and dropped when the status that follows from it has been stored.
package controllers

// The rights of the operator. Rights on Secrets are needed for TSIG keys, for standby keys (Gate)
// and for serving Secrets (Stage).
//
// +kubebuilder:rbac:groups=mail.dane-operator.io,resources=maildomains,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=mail.dane-operator.io,resources=maildomains/status,verbs=update
// +kubebuilder:rbac:groups=mail.dane-operator.io,resources=dnszones,verbs=get;list;watch
// +kubebuilder:rbac:groups=mail.dane-operator.io,resources=dnszones/status,verbs=update
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates/status,verbs=update
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificaterequests,verbs=get;list;watch
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificaterequests/status,verbs=update
// +kubebuilder:rbac:groups=cert-manager.io,resources=signers,verbs=approve
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=services,verbs=list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create
