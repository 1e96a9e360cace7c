package main

import (
	"context"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// apiTimeLimit is how long the API server has to answer: where nothing is known of the clock, nothing is decided meanwhile.
const apiTimeLimit = 10 * time.Second

// aheadOf says by how much a clock is ahead of that of the API server, negative when it is behind, by the Date header (RFC 9110
// section 6.6.1) of what that answers. It is never more than is sure: the header has whole seconds, and may be as old as the answer
// took, so that a slow server is not taken for one whose clock differs. One that does not answer within the limit is an error.
func aheadOf(config *rest.Config, c clock.PassiveClock, limit time.Duration) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		server, _, err := rest.DefaultServerUrlFor(config)
		if err != nil {
			return 0, err
		}
		httpClient, err := rest.HTTPClientFor(config)
		if err != nil {
			return 0, err
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.JoinPath("version").String(), nil)
		if err != nil {
			return 0, err
		}
		asked := c.Now()
		response, err := httpClient.Do(request)
		if err != nil {
			return 0, err
		}
		answered := c.Now()
		_ = response.Body.Close() // nothing of it is read
		at, err := http.ParseTime(response.Header.Get("Date"))
		if err != nil {
			return 0, nil //nolint:nilerr // what stands between takes the header out: then nobody can know
		}
		return sureLead(asked, answered, at), nil
	}
}

// sureLead is what is sure of by how much a clock is ahead that showed asked and answered, of one that showed the whole second of at
// at some time between.
func sureLead(asked, answered, at time.Time) time.Duration {
	if ahead := asked.Sub(at.Add(time.Second)); ahead > 0 {
		return ahead
	}
	return min(answered.Sub(at), 0)
}
