package kube

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// FieldOwner is the field manager of everything Apply writes.
const FieldOwner = "dane-test"

// Apply applies every object of a YAML stream, server-side and in its order, as kubectl apply
// --server-side does, and refuses fields that the API server does not know.
func (c *Cluster) Apply(ctx context.Context, manifests string) error {
	objects, err := Decode(manifests)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := c.ApplyObject(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// ApplyObject applies one object, which then holds what the API server made of it.
func (c *Cluster) ApplyObject(ctx context.Context, object *unstructured.Unstructured) error {
	err := c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(FieldOwner), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
	}
	return nil
}

// Decode reads a YAML stream. Documents that hold nothing are passed over.
func Decode(manifests string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(text, &object.Object); err != nil {
			return nil, fmt.Errorf("read a manifest: %w:\n%s", err, text)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// EnsureNamespace makes a namespace that may be there already.
func (c *Cluster) EnsureNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := client.IgnoreAlreadyExists(c.Client.Create(ctx, namespace)); err != nil {
		return fmt.Errorf("make namespace %s: %w", name, err)
	}
	return nil
}

// pollInterval is short: the API server is local and nobody else uses it.
const pollInterval = 50 * time.Millisecond

// WaitFor reads object again and again until done says so, and returns an error when that takes
// longer than timeout. object then holds what was read last. done returns what it still waits for,
// which the error shows; an empty string means done. An object that does not exist is waited for.
func (c *Cluster) WaitFor(ctx context.Context, object client.Object, timeout time.Duration, done func() string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	key := client.ObjectKeyFromObject(object)
	missing := "it to exist"
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if err := c.Client.Get(ctx, key, object); err == nil {
			if missing = done(); missing == "" {
				return nil
			}
		} else if client.IgnoreNotFound(err) != nil && ctx.Err() == nil {
			return fmt.Errorf("read %T %s: %w", object, key, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %T %s: still waiting for %s: %w", object, key, missing, ctx.Err())
		case <-tick.C:
		}
	}
}

// newNamespace is a namespace that the API server names.
func newNamespace() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
}
