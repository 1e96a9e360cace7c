package plugin

import (
	"io"
	"time"

	"github.com/dane-operator/dane-operator/internal/statusview"
)

// writeTimeline writes the steps, and where now is among them.
func writeTimeline(out io.Writer, steps []statusview.Step, now time.Time) error {
	var rows [][]string
	said := false
	here := func() {
		if !said {
			rows, said = append(rows, []string{statusview.Stamp(now), "", "*", "now"}), true
		}
	}
	for _, s := range steps {
		if s.At.IsZero() || s.At.After(now) {
			here()
		}
		if s.At.IsZero() {
			rows = append(rows, []string{"", "", "?", s.What})
			continue
		}
		rows = append(rows, []string{statusview.Stamp(s.At), statusview.Until(s.At, now), yesNo(s.At.After(now), " ", "x"), s.What})
	}
	here()
	return table(out, []string{"Time", "When", "Done", "Rollover"}, rows)
}
