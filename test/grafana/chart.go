package grafana

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// palette are the colours of Grafana's dark theme that the dashboard names.
var palette = map[string]string{"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "blue": "#5794f2", "yellow": "#fade2a"}

// lines are the colours of curves, in their order.
var lines = []string{"#73bf69", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#fade2a", "#8ab8ff", "#ffa6b0"}

// The colours of what is around curves.
const (
	ink, grid = "#9fa3ab", "#2f323a"
)

// size of a curve's picture in points of 1/72 inch, of which the page makes as many pixels as there are.
type size struct{ width, height float64 }

func rgba(hex string, alpha uint8) color.NRGBA {
	n, _ := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	return color.NRGBA{R: uint8(n >> 16), G: uint8(n >> 8 & 0xff), B: uint8(n & 0xff), A: alpha} //nolint:gosec // bytes of a colour
}

// curves draws a panel's series over a time, as SVG.
func curves(f Filled, from, to time.Time, step time.Duration, of size) (template.HTML, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, to.Sub(from).Seconds(), 0, 0
	for i, s := range f.Series {
		hex := lines[i%len(lines)]
		for _, part := range parts(s, step) {
			var xys plotter.XYs
			for _, point := range part {
				xys = append(xys, plotter.XY{X: point.At.Sub(from).Seconds(), Y: point.Value})
				p.Y.Max = math.Max(p.Y.Max, point.Value*1.08)
			}
			line, err := plotter.NewLine(xys)
			if err != nil {
				return "", fmt.Errorf("draw %q: %w", f.Title, err)
			}
			line.Color, line.Width, line.FillColor = rgba(hex, 0xff), vg.Points(1.4), rgba(hex, 0x18)
			line.StepStyle = plotter.PostStep
			p.Add(line)
		}
	}
	if p.Y.Max == 0 {
		p.Y.Max = 1
	}
	axes(p, f.FieldConfig.Defaults, from, to)
	canvas := vgsvg.New(vg.Points(of.width), vg.Points(of.height))
	p.Draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", fmt.Errorf("draw %q: %w", f.Title, err)
	}
	text := out.String()
	return template.HTML(text[strings.Index(text, "<svg"):]), nil //nolint:gosec // the plotting library has made it
}

// parts are the points of a series without a gap between them.
func parts(s Series, step time.Duration) [][]Point {
	var out [][]Point
	for i, p := range s.Points {
		if i == 0 || p.At.Sub(s.Points[i-1].At) > step+step/2 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], p)
	}
	return out
}

// axes have up to six values at the side, and round times below.
func axes(p *plot.Plot, d Defaults, from, to time.Time) {
	small := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(10)}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Width = 0
		axis.Tick.Length = 0
		axis.Tick.Label.Font, axis.Tick.Label.Color = small, rgba(ink, 0xff)
		axis.Padding = vg.Points(2)
	}
	raster := plotter.NewGrid()
	raster.Vertical.Color, raster.Horizontal.Color = rgba(grid, 0xff), rgba(grid, 0xff)
	raster.Vertical.Width, raster.Horizontal.Width = vg.Points(0.6), vg.Points(0.6)
	p.Add(raster)
	var marks []plot.Tick
	apart := nice(p.Y.Max / 5)
	for y := 0.0; y <= p.Y.Max; y += apart {
		marks = append(marks, plot.Tick{Value: y, Label: d.words(y)})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(marks)
	var times []plot.Tick
	for _, m := range marked(from, to) {
		times = append(times, plot.Tick{Value: m.At.Sub(from).Seconds(), Label: m.Text})
	}
	p.X.Tick.Marker = plot.ConstantTicks(times)
}

// mark is a time at the axis.
type mark struct {
	At   time.Time
	Text string
}

// marked are eight round times at the most, none so near an end that it would be cut off.
func marked(from, to time.Time) []mark {
	every, format := 15*time.Second, "15:04:05"
	for _, longer := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour} {
		if to.Sub(from) > 8*every {
			every = longer
		}
	}
	if every >= time.Minute {
		format = "15:04"
	}
	var out []mark
	edge := to.Sub(from) / 30
	for at := from.Truncate(every).Add(every); at.Add(edge).Before(to); at = at.Add(every) {
		if at.Sub(from) > edge {
			out = append(out, mark{at, at.UTC().Format(format)})
		}
	}
	return out
}

// nice is the least 1, 2 or 5 times a power of ten that is not below a value.
func nice(value float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(value)))
	for _, by := range []float64{1, 2, 5} {
		if by*power >= value {
			return by * power
		}
	}
	return 10 * power
}
