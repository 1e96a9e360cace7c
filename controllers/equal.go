package controllers

import "k8s.io/apimachinery/pkg/api/equality"

// sameStatus says whether two values are the same as far as the API server is concerned: a list that is empty is one that
// is not there, and times are compared as instants. It takes pointers, since a status is compared with each look at an
// object and the library copies what it is given.
func sameStatus[T any](a, b *T) bool { return equality.Semantic.DeepEqual(a, b) }
