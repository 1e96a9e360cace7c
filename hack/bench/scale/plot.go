package main

import (
	"encoding/csv"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// curve is one figure over the number of MailDomains.
type curve struct{ column, label string }

// panel is one of the plots beside each other. A limit above 0 is drawn as a line.
type panel struct {
	title  string
	curves []curve
	limit  float64
}

var panels = [][]panel{{
	{"memory, MiB", []curve{{"cold_peak_mib", "peak of the cold start"}, {"peak_mib", "peak of the mass renewal"}, {"rest_rss_mib", "at rest"}}, 400},
	{"CPU at rest, % of one core", []curve{{"rest_cpu_percent", "at rest"}}, 5},
}, {
	{"time, s", []curve{
		{"cold_published_s", "cold start: all published"}, {"renewal_settled_s", "mass renewal: all done"},
		{"restart_swept_s", "restart: all asked for anew"},
	}, 0},
	{"DNS queries a second at rest", []curve{{"rest_queries_mean", "mean"}, {"rest_queries_max", "busiest second"}}, 0},
}}

// drawGrowth draws what a CSV file of addLine holds, as SVG.
func drawGrowth(from, to string) error {
	table, err := readTable(from)
	if err != nil {
		return err
	}
	canvas := vgsvg.New(24*vg.Centimeter, 17*vg.Centimeter)
	tiles := draw.Tiles{Rows: len(panels), Cols: len(panels[0]), PadX: vg.Centimeter, PadY: vg.Centimeter, PadTop: 5, PadBottom: 5, PadLeft: 5, PadRight: 15}
	var plots [][]*plot.Plot
	for _, line := range panels {
		var row []*plot.Plot
		for _, p := range line {
			made, err := p.draw(table)
			if err != nil {
				return fmt.Errorf("draw %s: %w", p.title, err)
			}
			row = append(row, made)
		}
		plots = append(plots, row)
	}
	for i, row := range plot.Align(plots, tiles, draw.New(canvas)) {
		for j, tile := range row {
			plots[i][j].Draw(tile)
		}
	}
	file, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	if _, err := canvas.WriteTo(file); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return file.Close()
}

// readTable reads the columns of a CSV file, with one line for each number of MailDomains: the newest.
func readTable(name string) (map[string][]float64, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the figures: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil || len(lines) < 2 {
		return nil, fmt.Errorf("read the figures: %s holds none: %w", name, err)
	}
	newest := map[int][]float64{}
	for _, line := range lines[1:] {
		var values []float64
		for _, text := range line {
			v, err := math.NaN(), error(nil)
			if text != "" { // a run that was ended early has not measured all
				v, err = strconv.ParseFloat(text, 64)
			}
			if err != nil {
				return nil, fmt.Errorf("read the figures: %w", err)
			}
			values = append(values, v)
		}
		newest[int(values[0])] = values // the first column is the number of MailDomains
	}
	var sizes []int
	for n := range newest {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	out := map[string][]float64{}
	for i, column := range lines[0] {
		for _, n := range sizes {
			out[column] = append(out[column], newest[n][i])
		}
	}
	return out, nil
}

var colours = []color.Color{
	color.RGBA{R: 0x1b, G: 0x6c, B: 0xa8, A: 0xff}, color.RGBA{R: 0xc8, G: 0x55, B: 0x1b, A: 0xff}, color.RGBA{R: 0x2e, G: 0x8b, B: 0x57, A: 0xff},
}

func (p panel) draw(table map[string][]float64) (*plot.Plot, error) {
	out := plot.New()
	out.Title.Text = p.title
	out.X.Label.Text = "MailDomains"
	out.X.Scale, out.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(sizeTicks(table["domains"]))
	out.Y.Min = 0
	out.Legend.Top, out.Legend.Left = true, true
	for i, c := range p.curves {
		var points plotter.XYs
		for j, n := range table["domains"] {
			if y := table[c.column][j]; !math.IsNaN(y) {
				points = append(points, plotter.XY{X: n, Y: y})
			}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, dots.Color = colours[i], colours[i]
		out.Add(line, dots)
		out.Legend.Add(c.label, line, dots)
	}
	if p.limit > 0 {
		limit := plotter.NewFunction(func(float64) float64 { return p.limit })
		limit.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		out.Add(limit)
		out.Legend.Add("limit", limit)
		out.Y.Max = max(out.Y.Max, 1.3*p.limit)
	}
	out.Y.Max *= 1.15
	out.Add(plotter.NewGrid())
	return out, nil
}

func sizeTicks(sizes []float64) []plot.Tick {
	var out []plot.Tick
	for _, n := range sizes {
		out = append(out, plot.Tick{Value: n, Label: strconv.Itoa(int(n))})
	}
	return out
}
