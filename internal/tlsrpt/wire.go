package tlsrpt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
)

// wireReport is a report as senders write it.
type wireReport struct {
	Organization text         `json:"organization-name"`
	Range        wireRange    `json:"date-range"`
	Contact      text         `json:"contact-info"`
	ID           text         `json:"report-id"`
	Policies     []wirePolicy `json:"policies"`
}

type wireRange struct {
	Start string `json:"start-datetime"`
	End   string `json:"end-datetime"`
}

type wirePolicy struct {
	Policy struct {
		Type    text  `json:"policy-type"`
		Strings texts `json:"policy-string"`
		Domain  text  `json:"policy-domain"`
		MXHosts texts `json:"mx-host"`
	} `json:"policy"`
	Summary struct {
		Successful count `json:"total-successful-session-count"`
		Failed     count `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures []wireFailure `json:"failure-details"`
}

type wireFailure struct {
	Result      text  `json:"result-type"`
	SendingIP   text  `json:"sending-mta-ip"`
	MX          text  `json:"receiving-mx-hostname"`
	HELO        text  `json:"receiving-mx-helo"`
	ReceivingIP text  `json:"receiving-ip"`
	Sessions    count `json:"failed-session-count"`
	Information text  `json:"additional-information"`
	Reason      text  `json:"failure-reason-code"`
}

// text is a string that may be missing or null.
type text struct {
	value      string
	seen, null bool
}

func (t *text) UnmarshalJSON(data []byte) error {
	t.seen, t.null = true, string(data) == "null"
	if t.null {
		return nil
	}
	return json.Unmarshal(data, &t.value)
}

func (t text) absent() bool { return !t.seen || t.null }

func (t text) state() string {
	switch {
	case !t.seen:
		return "missing"
	case t.null:
		return "null"
	}
	return "given"
}

// texts is a list of strings, or one string as in the example of RFC 8460, appendix B.
type texts struct {
	values  []string
	seen    bool
	isPlain bool
}

func (t *texts) UnmarshalJSON(data []byte) error {
	t.seen = true
	if strings.HasPrefix(string(data), `"`) {
		t.isPlain = true
		t.values = make([]string, 1)
		return json.Unmarshal(data, &t.values[0])
	}
	return json.Unmarshal(data, &t.values)
}

// count is a number of sessions.
type count struct {
	value int64
	seen  bool
}

func (c *count) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	c.seen = true
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &c.value); err != nil || c.value < 0 || c.value > maxCount {
		return fmt.Errorf("%s is not a number of sessions", CleanText(string(data)))
	}
	return nil
}

// notes collects deviations, each once, and not more than people read.
type notes struct{ list []string }

const maxNotes = 32

func (n *notes) when(deviates bool, what string) {
	if deviates && len(n.list) < maxNotes && !slices.Contains(n.list, what) {
		n.list = append(n.list, what)
	}
}
