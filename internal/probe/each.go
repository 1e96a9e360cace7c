package probe

import "context"

// EachKeyType connects to a target once for each type of key that a server may have a certificate of, the one that
// it prefers first. Where nobody answers, or the address may not be dialled, once says as much.
func EachKeyType(ctx context.Context, p Prober, target Target) []Result {
	var out []Result
	for _, keyType := range []KeyType{AnyKey, ECDSA, RSA} {
		target.KeyType = keyType
		result := p.Probe(ctx, target)
		out = append(out, result)
		if result.Outcome == Unreachable || result.Outcome == Forbidden {
			break
		}
	}
	return out
}
