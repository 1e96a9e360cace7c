package kube

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Endpoint is one address behind a Service.
type Endpoint struct {
	Address netip.AddrPort
	// NotReady marks an endpoint that gets no traffic.
	NotReady bool
}

// PutService makes a headless Service with one port, and an EndpointSlice for every endpoint, since
// endpoints of a test often differ in their port alone and a slice has one set of ports. Called again
// it replaces the endpoints. The API server refuses loopback addresses in an EndpointSlice: give the
// loopback device of a network namespace others, or probe the host's own addresses instead.
func (c *Cluster) PutService(ctx context.Context, namespace, name string, port int32, endpoints ...Endpoint) error {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Ports:     []corev1.ServicePort{{Name: "mail", Port: port, Protocol: corev1.ProtocolTCP}},
		},
	}
	if err := client.IgnoreAlreadyExists(c.Client.Create(ctx, service)); err != nil {
		return fmt.Errorf("make the Service %s/%s: %w", namespace, name, err)
	}
	old := client.MatchingLabels{discoveryv1.LabelServiceName: name}
	if err := c.Client.DeleteAllOf(ctx, &discoveryv1.EndpointSlice{}, client.InNamespace(namespace), old); err != nil {
		return fmt.Errorf("remove the endpoints of the Service %s/%s: %w", namespace, name, err)
	}
	for _, endpoint := range endpoints {
		if err := c.Client.Create(ctx, slice(namespace, name, endpoint)); err != nil {
			return fmt.Errorf("make the endpoint %s of the Service %s/%s: %w", endpoint.Address, namespace, name, err)
		}
	}
	return nil
}

func slice(namespace, service string, endpoint Endpoint) *discoveryv1.EndpointSlice {
	family := discoveryv1.AddressTypeIPv4
	if endpoint.Address.Addr().Is6() {
		family = discoveryv1.AddressTypeIPv6
	}
	port, name, protocol, ready := int32(endpoint.Address.Port()), "mail", corev1.ProtocolTCP, !endpoint.NotReady
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, GenerateName: service + "-",
			Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: family,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses:  []string{endpoint.Address.Addr().String()},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		}},
	}
}
