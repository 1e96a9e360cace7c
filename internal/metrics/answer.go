package metrics

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
)

// answer compresses what is written, unless it tells of a failure.
type answer struct {
	http.ResponseWriter
	// zipped says that the client takes gzip.
	zipped bool
	// failed says that the status is another than 200.
	failed bool
	zip    *gzip.Writer
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.failed = status != http.StatusOK
	if a.zipped = a.zipped && !a.failed; a.zipped {
		a.begin()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if !a.zipped {
		return a.ResponseWriter.Write(p)
	}
	a.begin()
	return a.zip.Write(p)
}

// begin begins the compression, of little effort: of lines that resemble each other that much a scrape needs no more.
func (a *answer) begin() {
	if a.zip == nil {
		a.Header().Set("Content-Encoding", "gzip")
		a.zip, _ = gzip.NewWriterLevel(a.ResponseWriter, gzip.BestSpeed) // there is such a level
	}
}

// end ends the compression.
func (a *answer) end() error {
	if a.zip == nil {
		return nil
	}
	return a.zip.Close()
}

// takesGzip reads fields Accept-Encoding (RFC 9110 section 12.5.3): gzip has to be named, and not with a weight of 0.
func takesGzip(fields []string) bool {
	for one := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		coding, weight, weighted := strings.Cut(one, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		if !weighted {
			return true
		}
		_, number, _ := strings.Cut(weight, "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		return err == nil && q > 0
	}
	return false
}
