package v1alpha1

import "time"

// Duration is a length of time such as "90s", "24h" or "1h30m", as Go's time.ParseDuration reads
// it. It is kept as text, so that a value which passed the schema can never make an object
// unreadable.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:Pattern=`^([0-9]+([.][0-9]+)?(ms|s|m|h))+$`
type Duration string

// Or returns the length of time, or fallback where d is empty or cannot be read.
func (d Duration) Or(fallback time.Duration) time.Duration {
	parsed, err := time.ParseDuration(string(d))
	if err != nil {
		return fallback
	}
	return parsed
}
