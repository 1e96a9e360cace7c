package tlsrpt

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// MaxPacked is how many bytes a packed report has at most.
const MaxPacked = 1 << 20

// ErrTooLarge is what is larger than a report may be, packed or unpacked.
var ErrTooLarge = errors.New("the report is too large")

// Unpack gives the JSON of a report that may be packed with gzip (RFC 8460, section 5.2), or, as some senders do,
// with zip. What it is shows in its first bytes: senders' media types and file names are not always right. One level
// is unpacked, one file, MaxSize bytes at most. The error wraps ErrTooLarge or ErrMalformed.
func Unpack(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return unpackGzip(data)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return unpackZip(data)
	case len(data) > MaxSize:
		return nil, tooLarge("it has more than %d bytes", MaxSize)
	}
	return data, nil
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))
}

func unpackGzip(data []byte) ([]byte, error) {
	if len(data) > MaxPacked {
		return nil, tooLarge("it has more than %d bytes of gzip", MaxPacked)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, malformed("its gzip cannot be read: %v", err)
	}
	// A second stream behind the first would be a second report.
	r.Multistream(false)
	return readBounded(r, "gzip")
}

func unpackZip(data []byte) ([]byte, error) {
	if len(data) > MaxPacked {
		return nil, tooLarge("it has more than %d bytes of zip", MaxPacked)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, malformed("its zip cannot be read: %v", err)
	}
	if len(z.File) != 1 {
		return nil, malformed("its zip holds %d files, not one", len(z.File))
	}
	r, err := z.File[0].Open()
	if err != nil {
		return nil, malformed("its zip cannot be read: %v", err)
	}
	defer func() { _ = r.Close() }()
	return readBounded(r, "zip")
}

// readBounded reads all, unless that is more than a report may have: sizes that a file tells of itself prove nothing.
func readBounded(r io.Reader, kind string) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, malformed("its %s cannot be read: %v", kind, err)
	case len(out) > MaxSize:
		return nil, tooLarge("unpacked it has more than %d bytes", MaxSize)
	}
	return out, nil
}
