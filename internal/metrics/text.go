package metrics

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// writeText writes the series of MailDomains in the text format of Prometheus, version 0.0.4, as the library does, but
// one after another: the library wants all series of a scrape at once, in some 250 octets each, and ten thousand hosts have
// more than a hundred thousand.
func writeText(out io.Writer, domains []v1alpha1.MailDomain, wanted func(name string) bool) error {
	text := textWriter{bufio.NewWriterSize(out, 32<<10)}
	for _, f := range families {
		if !wanted(f.name) {
			continue
		}
		to, begun := sink{family: f}, false
		to.take = func(f *family, values []string, value float64) {
			if !begun {
				begun = true
				text.head(f)
			}
			text.series(f, values, value)
		}
		for i := range domains {
			f.of(&to, &domains[i])
		}
	}
	return text.Flush()
}

// textWriter keeps the first error for Flush.
type textWriter struct{ *bufio.Writer }

func (t textWriter) head(f *family) {
	line := append(t.AvailableBuffer(), "# HELP "...)
	line = append(line, f.name...)
	line = append(line, ' ')
	line = append(line, f.help...)
	line = append(line, "\n# TYPE "...)
	line = append(line, f.name...)
	line = append(line, " gauge\n"...)
	_, _ = t.Write(line)
}

func (t textWriter) series(f *family, values []string, value float64) {
	line := append(t.AvailableBuffer(), f.name...)
	before := byte('{')
	for _, i := range f.sorted {
		line = append(line, before)
		line = append(line, f.labels[i]...)
		line = append(line, `="`...)
		line = append(line, escape(values[i])...)
		line = append(line, '"')
		before = ','
	}
	line = append(line, "} "...)
	line = strconv.AppendFloat(line, value, 'g', -1, 64)
	line = append(line, '\n')
	_, _ = t.Write(line)
}

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// escape makes a value fit to stand between quotes. What is shown has to be UTF-8, or the whole scrape fails.
func escape(value string) string {
	return escapes.Replace(valid(value))
}

func valid(value string) string { return strings.ToValidUTF8(value, "\ufffd") }
