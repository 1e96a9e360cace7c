package plugin

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/fatih/color"
	"github.com/mattn/go-colorable"
	"golang.org/x/term"
)

// colourChoices are what --color takes.
var colourChoices = []string{"auto", "always", "never"}

// screen is where a command prints. Without colours and bars, as in a pipe, all of it is plain text.
type screen struct {
	io.Writer
	colours, bars bool
	// width of the terminal, in letters; 0 where there is none, or it does not tell.
	width int
	// before is told of all that is printed, before it is, and what it returns when that was printed.
	before func(text []byte) (after func())
}

// Write implements io.Writer. A pager may take its time to read.
func (s *screen) Write(text []byte) (int, error) {
	defer s.before(text)()
	return s.Writer.Write(text)
}

// newScreen makes the screen for a writer. With auto there are colours and bars where that is a terminal which can show
// them; the environment variable NO_COLOR (no-color.org) takes the colours away then.
func newScreen(out io.Writer, choice string, before func([]byte) func()) (*screen, error) {
	if !slices.Contains(colourChoices, choice) {
		return nil, fmt.Errorf("--color %s: want auto, always or never", choice)
	}
	file, terminal := out.(*os.File)
	terminal = terminal && isTerminal(file)
	s := &screen{Writer: out, before: before}
	if terminal {
		s.Writer = colorable.NewColorable(file) // some terminals of Windows have to be told
		s.width = columns(file)
	}
	s.bars = choice == "always" || terminal
	s.colours = choice == "always" || choice == "auto" && terminal && os.Getenv("NO_COLOR") == ""
	return s, nil
}

// isTerminal says whether a file is a terminal that knows more than lines.
func isTerminal(file *os.File) bool {
	return term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" //nolint:gosec // a small number
}

// tone is what a text says at a glance.
type tone int

const (
	plain tone = iota
	good
	attention
	bad
	heading
)

var attributes = map[tone][]color.Attribute{
	good: {color.FgGreen}, attention: {color.FgYellow}, bad: {color.FgRed, color.Bold}, heading: {color.Bold},
}

// paint gives a text the colour of a tone, where there are colours.
func paint(out io.Writer, t tone, text string) string {
	if s, ok := out.(*screen); !ok || !s.colours || t == plain || text == "" {
		return text
	}
	c := color.New(attributes[t]...)
	c.EnableColor() // the library looks at the standard output, wherever this goes
	return c.Sprint(text)
}

// draws says whether there are bars.
func draws(out io.Writer) bool {
	s, ok := out.(*screen)
	return ok && s.bars
}
