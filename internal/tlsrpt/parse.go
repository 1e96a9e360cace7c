package tlsrpt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"
)

// What a report may hold. The largest senders' reports have some hundred failures.
const (
	// MaxSize is how many bytes of JSON a report has at most.
	MaxSize     = 10 << 20
	maxDepth    = 12
	maxParts    = 250_000
	maxLists    = 20_000
	maxTextRead = 64 << 10
	// maxCount is above the sessions that all mail of the world makes in a day.
	maxCount = 1_000_000_000_000
	// maxSpan is how long a time a report may cover. The RFC says a day; some send a week's.
	maxSpan = 32 * 24 * time.Hour
)

// ErrMalformed is what cannot be taken for a report, with the reason in the message.
var ErrMalformed = errors.New("not a TLS report")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Parse reads a report from JSON. What deviates from RFC 8460 and can be understood is taken, and noted in
// Report.Deviations. The error wraps ErrMalformed; its message has clean texts alone.
func Parse(data []byte) (Report, error) {
	if len(data) > MaxSize {
		return Report{}, malformed("it has more than %d bytes", MaxSize)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if err := withinBounds(data); err != nil {
		return Report{}, err
	}
	var w wireReport
	doubled, err := kjson.UnmarshalStrict(data, &w, kjson.DisallowDuplicateFields)
	if err != nil {
		return Report{}, malformed("its JSON cannot be read: %s", CleanText(err.Error()))
	}
	if len(doubled) > 0 {
		// Two readers could take it for two different reports.
		return Report{}, malformed("%s", CleanText(doubled[0].Error()))
	}
	return w.report()
}

// withinBounds looks through the JSON before anything is made of it. It takes no memory: whether the JSON is right is
// found out later, once it is known to be small in every way.
func withinBounds(data []byte) error {
	var s scan
	for _, c := range data {
		if s.inText {
			s.text++
			s.inText = s.escaped || c != '"'
			s.escaped = !s.escaped && c == '\\'
		} else {
			s.outside(c)
		}
		if err := s.tooMuch(); err != nil {
			return err
		}
	}
	return nil
}

// scan is what has been seen of the JSON so far.
type scan struct {
	depth, lists, parts, text int
	inText, escaped           bool
}

// outside takes in a byte that is not within a text.
func (s *scan) outside(c byte) {
	switch c {
	case '"':
		s.inText, s.text = true, 0
	case '{', '[':
		s.depth++
		s.lists++
	case '}', ']':
		s.depth--
	case ',':
		s.parts++
	}
}

func (s *scan) tooMuch() error {
	switch {
	case s.text > maxTextRead:
		return malformed("it has a text of more than %d bytes", maxTextRead)
	case s.depth > maxDepth:
		return malformed("it is nested more than %d deep", maxDepth)
	case s.lists > maxLists:
		return malformed("it has more than %d lists and objects", maxLists)
	case s.parts > maxParts:
		return malformed("it has more than %d parts", maxParts)
	}
	return nil
}

// report makes the report of what was read.
func (w wireReport) report() (Report, error) {
	var n notes
	r := Report{
		Organization: CleanText(w.Organization.value), ID: CleanText(strings.TrimSpace(w.ID.value)),
		Contact: CleanText(w.Contact.value),
	}
	n.when(w.Contact.absent(), "contact-info "+w.Contact.state())
	switch {
	case r.Organization == "":
		return Report{}, malformed("it has no organization-name")
	case r.ID == "":
		return Report{}, malformed("it has no report-id")
	case w.Policies == nil:
		return Report{}, malformed("it has no policies")
	}
	n.when(strings.TrimSpace(w.ID.value) != w.ID.value, "report-id with spaces around it")
	var err error
	if r.Start, r.End, err = w.Range.times(); err != nil {
		return Report{}, err
	}
	for _, p := range w.Policies {
		policy, err := p.policy(&n)
		if err != nil {
			return Report{}, err
		}
		r.Policies = append(r.Policies, policy)
	}
	r.Deviations = n.list
	return r, nil
}

func (w wireRange) times() (start, end time.Time, err error) {
	if start, err = time.Parse(time.RFC3339, w.Start); err != nil {
		return start, end, malformed("start-datetime %q is not a time of RFC 3339", CleanText(w.Start))
	}
	if end, err = time.Parse(time.RFC3339, w.End); err != nil {
		return start, end, malformed("end-datetime %q is not a time of RFC 3339", CleanText(w.End))
	}
	if end.Before(start) || end.Sub(start) > maxSpan {
		return start, end, malformed("it covers from %s to %s, which is no time of at most %d days",
			w.Start, w.End, maxSpan/(24*time.Hour))
	}
	return start.UTC(), end.UTC(), nil
}
