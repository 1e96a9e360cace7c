package plugin

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dane-operator/dane-operator/internal/statusview"
)

// writeTimeline writes the steps, and where now is among them.
func writeTimeline(out io.Writer, steps []statusview.Step, now time.Time) error {
	var rows [][]string
	said := false
	present := func() {
		if !said {
			rows, said = append(rows, []string{statusview.Stamp(now), "", here, "now"}), true
		}
	}
	for _, s := range steps {
		if s.At.IsZero() || s.At.After(now) {
			present()
		}
		if s.At.IsZero() {
			rows = append(rows, []string{"", "", open, s.What})
			continue
		}
		rows = append(rows, []string{statusview.Stamp(s.At), statusview.Until(s.At, now), yesNo(s.At.After(now), " ", past), s.What})
	}
	present()
	return table(out, []string{"Time", "When", "Done", "Rollover"}, rows)
}

// barWidth is how many letters a bar has.
const barWidth = 20

// writeBars draws how much of each wait is over, for somebody at a terminal.
func writeBars(out io.Writer, waits []statusview.Wait, now time.Time) {
	if !draws(out) {
		return
	}
	for _, w := range waits {
		over := w.Over(now)
		full := int(over * barWidth)
		bar := paint(out, good, strings.Repeat("█", full)) + strings.Repeat("░", barWidth-full)
		fmt.Fprintf(out, "%s %3d %%  %s: %s\n", bar, int(over*100), statusview.Until(w.To, now), w.What)
	}
}
