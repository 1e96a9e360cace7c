package receive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-message"

	"github.com/dane-operator/dane-operator/internal/tlsrpt"
)

const (
	// maxMessage is how many bytes a message has at most: a packed report of MaxPacked in base64, with its header.
	maxMessage = tlsrpt.MaxPacked*3/2 + 64<<10
	maxParts   = 20
	maxNested  = 4
)

var errNoReport = errors.New("the message holds no report")

// attachment finds the report in a message (RFC 8460, section 5.3): the first part of a type that the RFC names, and
// otherwise the first that looks like one by its file name. Subject and file name say nothing more: where they differ
// from the report, it is right (section 5.6).
func attachment(text []byte) ([]byte, error) {
	entity, err := message.Read(bytes.NewReader(text))
	if entity == nil || !isReadable(err) {
		return nil, fmt.Errorf("%w: its header cannot be read", errNoReport)
	}
	f := &finder{}
	if err := f.look(entity, 0); err != nil {
		return nil, err
	}
	if f.best == nil {
		return nil, errNoReport
	}
	return f.best, nil
}

// finder walks the parts of a message.
type finder struct {
	parts int
	// best is the likeliest part yet; done says that none can be better.
	best []byte
	done bool
}

func (f *finder) look(e *message.Entity, depth int) error {
	if f.parts++; f.parts > maxParts || depth > maxNested {
		return fmt.Errorf("%w in its first %d parts", errNoReport, maxParts)
	}
	if parts := e.MultipartReader(); parts != nil {
		defer func() { _ = parts.Close() }()
		return f.each(parts, depth)
	}
	exact, likely := kindOf(e)
	if !exact && (!likely || f.best != nil) {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(e.Body, tlsrpt.MaxPacked+1))
	if err != nil {
		return fmt.Errorf("%w: its part cannot be decoded", errNoReport)
	}
	f.best, f.done = body, exact
	return nil
}

// each looks at parts until there are no more, or none could be better than what was found.
func (f *finder) each(parts message.MultipartReader, depth int) error {
	for !f.done {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if part == nil || !isReadable(err) {
			return fmt.Errorf("%w: its parts cannot be read", errNoReport)
		}
		if err := f.look(part, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// isReadable says whether a message or a part can be read all the same: a text in an unheard-of character set is not
// what is looked for.
func isReadable(err error) bool {
	return err == nil || message.IsUnknownCharset(err) || message.IsUnknownEncoding(err)
}

// kindOf says whether a part is of a type that RFC 8460 names, or looks like a report by its file name.
func kindOf(e *message.Entity) (exact, likely bool) {
	kind, params, _ := e.Header.ContentType()
	if kind == "application/tlsrpt+gzip" || kind == "application/tlsrpt+json" {
		return true, true
	}
	_, disposition, _ := e.Header.ContentDisposition()
	for _, name := range []string{params["name"], disposition["filename"]} {
		name = strings.ToLower(name)
		if slices.ContainsFunc([]string{".json", ".json.gz", ".gz", ".zip"}, func(end string) bool { return strings.HasSuffix(name, end) }) {
			likely = true
		}
	}
	return false, likely
}
