package grafana

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// Sizes in pixels: as Grafana has them, on a screen of Width.
const (
	Width   = 1500
	columns = 24
	unit    = 30
	gap     = 8
	// header is how high the line with the title is, and what is between it and the panels.
	header = 54
)

// box is a panel on the page.
type box struct {
	Kind, Title, Description   string
	Left, Top, Wide, High, Big int
	Text                       string
	Colour                     string
	Bars                       []bar
	Bands                      []band
	Times                      []when
	Legend                     []key
	Picture                    template.HTML
}

type key struct{ Name, Colour string }

// bar is a value of a bar gauge; Share is in per cent of the longest.
type bar struct {
	Name, Text, Colour string
	Share              float64
}

// band is a series of a state timeline.
type band struct {
	Name  string
	Spans []span
}

// span is a time of one state, its ends in per cent of the time shown.
type span struct {
	Colour, Text string
	Left, Wide   float64
}

// when is a time below a state timeline; Left is in per cent of the time shown.
type when struct {
	Text string
	Left float64
}

// Rows are the panels of the rows of those titles, moved up to the top.
func Rows(filled []Filled, titles ...string) []Filled {
	var out []Filled
	in, up := false, 0
	for _, f := range filled {
		if f.Type == "row" {
			in = slices.Contains(titles, f.Title)
		}
		if !in {
			continue
		}
		if len(out) == 0 {
			up = f.Place.Y
		}
		f.Place.Y -= up
		out = append(out, f)
	}
	return out
}

// Page writes panels as one HTML page that needs nothing from outside, and returns how many pixels high it is.
func Page(w io.Writer, d *Dashboard, filled []Filled, over v1.Range) (int, error) {
	page := struct {
		Title, From, To string
		Width, High     int
		Boxes           []box
	}{Title: d.Title, From: over.Start.UTC().Format("2006-01-02 15:04:05"), To: over.End.UTC().Format("15:04:05"), Width: Width}
	for _, f := range filled {
		made, err := boxOf(f, over)
		if err != nil {
			return 0, err
		}
		page.Boxes = append(page.Boxes, made)
		page.High = max(page.High, made.Top+made.High)
	}
	if err := pageTemplate.Execute(w, page); err != nil {
		return 0, fmt.Errorf("write the page: %w", err)
	}
	return page.High + header + gap, nil
}

func boxOf(f Filled, over v1.Range) (box, error) {
	column := (Width - gap) / columns
	b := box{
		Kind: f.Type, Title: f.Title, Description: f.Description,
		Left: gap + f.Place.X*column, Top: f.Place.Y * (unit + gap), Wide: f.Place.W*column - gap, High: f.Place.H*(unit+gap) - gap,
	}
	d := f.FieldConfig.Defaults
	var err error
	switch {
	case f.Type == "row":
	case len(f.Series) == 0:
		b.Text, b.Colour = cmp.Or(d.NoValue, "no data"), "transparent"
	case f.Type == "stat":
		b.Text, b.Colour = d.meaning(f.Series[0].last())
	case f.Type == "bargauge":
		b.Bars = bars(f)
	case f.Type == "state-timeline":
		b.Bands, b.Legend = bands(f, over), meanings(d)
		for _, m := range marked(over.Start, over.End) {
			b.Times = append(b.Times, when{m.Text, 100 * m.At.Sub(over.Start).Seconds() / over.End.Sub(over.Start).Seconds()})
		}
	default:
		for i, s := range f.Series {
			b.Legend = append(b.Legend, key{s.Name, lines[i%len(lines)]})
		}
		b.Picture, err = curves(f, over.Start, over.End, over.Step, size{float64(b.Wide - 2*gap), float64(b.High - 64)})
	}
	return b, err
}

// bars are the values of a bar gauge, in the order of the answer.
func bars(f Filled) []bar {
	d, longest := f.FieldConfig.Defaults, math.SmallestNonzeroFloat64
	for _, s := range f.Series {
		longest = max(longest, s.last())
	}
	var out []bar
	for _, s := range f.Series {
		text, colour := d.meaning(s.last())
		out = append(out, bar{Name: s.Name, Text: text, Colour: colour, Share: max(100*s.last()/longest, 0.5)})
	}
	return out
}

// bands have a span for each time without a change. The last one ends with the time shown.
func bands(f Filled, over v1.Range) []band {
	whole := over.End.Sub(over.Start).Seconds()
	var out []band
	for _, s := range f.Series {
		made := band{Name: s.Name}
		for _, part := range parts(s, over.Step) {
			for i := 0; i < len(part); {
				j := i
				for j < len(part) && part[j].Value == part[i].Value {
					j++
				}
				end := part[len(part)-1].At.Add(over.Step)
				if j < len(part) {
					end = part[j].At
				}
				if end.After(over.End) {
					end = over.End
				}
				text, colour := f.FieldConfig.Defaults.meaning(part[i].Value)
				left := part[i].At.Sub(over.Start).Seconds()
				made.Spans = append(made.Spans, span{colour, text, 100 * left / whole, 100 * (end.Sub(over.Start).Seconds() - left) / whole})
				i = j
			}
		}
		out = append(out, made)
	}
	return out
}

// meanings are what the colours of a state timeline say.
func meanings(d Defaults) []key {
	var out []key
	for _, m := range d.Mappings {
		for _, shown := range m.Options {
			out = append(out, key{shown.Text, palette[shown.Color]})
		}
	}
	slices.SortFunc(out, func(a, b key) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Over is the time that is shown: so long until an end, in steps that a picture has room for.
func Over(end time.Time, long time.Duration) v1.Range {
	step := max(long/300, time.Second).Round(time.Second)
	return v1.Range{Start: end.Add(-long), End: end, Step: step}
}
