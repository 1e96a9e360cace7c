package reports

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// limit is the memory that config/reports gives to the container, in KiB.
const limit = 128 << 10

// While bombs are posted, many at once, the program stays within the memory that config/reports gives it, and takes
// reports all the while.
func (r *rig) bombs() {
	t := r.T
	one := r.start("bombed", "--database", filepath.Join(t.TempDir(), "reports.db"), "--burst-per-source", "1000", "--rate-per-source", "1000")
	bombs := map[string][]byte{
		"ten times what is unpacked":           packed(t, strings.Repeat("\x00", 100<<20)),
		"a report as large as is read":         packed(t, strings.Replace(report("1", "example.com"), "Sender", "Sender"+strings.Repeat(" ", 10<<20-1000), 1)),
		"lists and objects":                    packed(t, strings.Replace(report("1", "example.com"), `["3 1 1 aa"]`, "["+strings.Repeat("{},", 3_000_000)+"{}]", 1)),
		"as many failures as are read":         packed(t, failures(19_000)),
		"numbers, as many as fit":              packed(t, "["+strings.Repeat("1,", 5_000_000)+"1]"),
		"a megabyte that is not packed at all": bytes.Repeat([]byte("x"), 1<<20),
	}
	for why, bomb := range bombs {
		var wait sync.WaitGroup
		for range 24 {
			wait.Go(func() {
				response, err := http.Post("http://"+one.at, "application/tlsrpt+gzip", bytes.NewReader(bomb))
				if err != nil {
					t.Errorf("%s: %v", why, err)
					return
				}
				_ = response.Body.Close()
			})
		}
		wait.Wait()
	}
	one.post(report("after", "example.com"))
	most := peak(t, one.process.PID())
	t.Logf("at most %d MiB", most>>10)
	if most > limit {
		t.Errorf("it took %d MiB, and may take %d", most>>10, limit>>10)
	}
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// failures is a report that tells of so many failures.
func failures(n int) string {
	one := `{"result-type": "tlsa-invalid", "receiving-mx-hostname": "mx1.example.com", "failed-session-count": 1}`
	return strings.Replace(report("many", "example.com"), `"failure-details": [`, `"failure-details": [`+strings.Repeat(one+",", n), 1)
}

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most memory that a process has had, in KiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := peakLine.FindSubmatch(text)
	if found == nil {
		t.Fatal("there is no VmHWM")
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}
