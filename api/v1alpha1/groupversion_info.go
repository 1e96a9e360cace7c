// Package v1alpha1 holds the API of dane-operator: MailDomain, which says what TLSA records a mail
// domain wants and how its keys may roll, and DNSZone, which says how a DNS zone is written and who
// may write which names of it.
//
// +kubebuilder:object:generate=true
// +groupName=mail.dane-operator.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of this API.
	GroupVersion = schema.GroupVersion{Group: "mail.dane-operator.io", Version: "v1alpha1"}

	// SchemeBuilder collects the functions that add this API to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this API to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &MailDomain{}, &MailDomainList{}, &DNSZone{}, &DNSZoneList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
