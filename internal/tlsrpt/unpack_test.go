package tlsrpt

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"runtime"
	"strings"
	"testing"
)

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, text := range texts {
		w, err := z.Create("report.json")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(text))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	bomb := strings.Repeat("\x00", MaxSize+1)
	for _, c := range []struct {
		why, want string
		data      []byte
		err       error
	}{
		{"as it is", "{}", []byte("{}"), nil},
		{"as RFC 8460 says", "{}", gzipped(t, "{}"), nil},
		{"what follows a stream is another report", "{}", append(gzipped(t, "{}"), gzipped(t, "[]")...), nil},
		{"as some senders do", "{}", zipped(t, "{}"), nil},
		{"two files are two reports", "", zipped(t, "{}", "{}"), ErrMalformed},
		{"cut short", "", gzipped(t, reportWith())[:40], ErrMalformed},
		{"no zip but by its first bytes", "", []byte("PK\x03\x04"), ErrMalformed},
		{"a bomb", "", gzipped(t, bomb), ErrTooLarge},
		{"a bomb in a zip", "", zipped(t, bomb), ErrTooLarge},
		{"a packed report of a megabyte and more", "", append(gzipped(t, "{}"), make([]byte, MaxPacked)...), ErrTooLarge},
		{"one level is unpacked", string(gzipped(t, "{}")), gzipped(t, string(gzipped(t, "{}"))), nil},
	} {
		got, err := Unpack(c.data)
		if !errors.Is(err, c.err) || string(got) != c.want {
			t.Errorf("%s: got %d bytes and %v, want %d and %v", c.why, len(got), err, len(c.want), c.err)
		}
	}
}

// A bomb of a kilobyte to a megabyte costs no more memory than the largest report.
func TestBombIsBounded(t *testing.T) {
	bomb := gzipped(t, strings.Repeat("\x00", 10*MaxSize))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Unpack(bomb); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8*MaxSize {
		t.Errorf("a bomb of %d bytes took %d bytes of memory", len(bomb), used)
	}
}
