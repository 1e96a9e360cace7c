package plugin

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
	"k8s.io/utils/clock"
)

// progress tells somebody who waits at a terminal for more than a second what is waited for, and for how long: in one
// line, which is written anew each second and makes way for all that is printed. A nil one tells nobody.
type progress struct {
	out io.Writer
	// width is how many letters fit into a line.
	width int
	done  chan struct{}

	mu    sync.Mutex
	what  string
	shown bool
	over  bool
	// within says that something is being printed, or that what was is not the end of a line, which has to come first.
	within bool
}

// clearLine goes to the begin of a line and takes away what stands there.
const clearLine = "\r\x1b[K"

// startProgress begins to wait, if there is a terminal.
func startProgress(out io.Writer, c clock.WithTicker, what string) *progress {
	file, ok := out.(*os.File)
	if !ok || !isTerminal(file) {
		return nil
	}
	width, _, err := term.GetSize(int(file.Fd())) //nolint:gosec // a small number
	if err != nil || width < 20 {
		width = 80
	}
	p := &progress{out: out, width: width, done: make(chan struct{}), what: what}
	go p.run(c.NewTicker(time.Second))
	return p
}

func (p *progress) run(ticker clock.Ticker) {
	defer ticker.Stop()
	for seconds := 1; ; seconds++ {
		select {
		case <-p.done:
			return
		case <-ticker.C():
			p.show(seconds)
		}
	}
}

func (p *progress) show(seconds int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.within {
		return
	}
	end := fmt.Sprintf(" … %ds", seconds)
	what := []rune(p.what)
	what = what[:min(len(what), p.width-1-len([]rune(end)))]
	fmt.Fprint(p.out, clearLine+string(what)+end)
	p.shown = true
}

// tell says what is waited for now.
func (p *progress) tell(what string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
}

// makeWay takes the line away before a text is printed. It comes back when that is done, and there is still something to wait
// for: not while a pager, which has the same terminal, has not read the text.
func (p *progress) makeWay(text []byte) (printed func()) {
	if p == nil {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hide()
	p.within = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.within = !bytes.HasSuffix(text, []byte("\n"))
	}
}

func (p *progress) hide() {
	if p.shown {
		fmt.Fprint(p.out, clearLine)
	}
	p.shown = false
}

// end takes the line away; there is none afterwards. It may be called again.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.over = true
	close(p.done)
	p.hide()
}
