package main

// This file puts panels on the page.

// source is whichever Prometheus the user picks.
var source = &reference{Type: "prometheus", UID: "${datasource}"}

// width is how many columns the page has.
const width = 24

// page places panels from left to right, in rows.
type page struct {
	panels []panel
	x, y   int
	// line is the height of the highest panel of the line.
	line int
}

// section begins a new row with a heading.
func (p *page) section(title string) {
	p.wrap()
	open := false
	p.put(panel{Type: "row", Title: title, Collapsed: &open}, width, 1)
	p.wrap()
}

func (p *page) wrap() {
	if p.x > 0 {
		p.x, p.y, p.line = 0, p.y+p.line, 0
	}
}

func (p *page) put(of panel, w, h int) {
	if p.x+w > width {
		p.wrap()
	}
	of.ID, of.GridPos = len(p.panels)+1, position{H: h, W: w, X: p.x, Y: p.y}
	of.FieldConfig.Overrides = []any{}
	for i := range of.Targets {
		of.Targets[i].RefID, of.Targets[i].Datasource = string(rune('A'+i)), source
		of.Datasource = source
	}
	p.panels = append(p.panels, of)
	p.x, p.line = p.x+w, max(p.line, h)
}

// now is a query for what is; over is one for what was, over the time that the page shows.
func now(expr, legend string) target  { return target{Expr: expr, LegendFormat: legend, Instant: true} }
func over(expr, legend string) target { return target{Expr: expr, LegendFormat: legend, Range: true} }

// number is one large figure, in a colour by its value.
func (p *page) number(title, description, unit string, of target, colours *thresholds) {
	p.put(panel{
		Type: "stat", Title: title, Description: description, Targets: []target{of},
		FieldConfig: fieldConfig{Defaults: defaults{Unit: unit, NoValue: "not known", Thresholds: colours}},
		Options: map[string]any{
			"colorMode": "background", "graphMode": "none", "justifyMode": "center", "textMode": "value",
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "values": false},
		},
	}, 4, 4)
}

// curves are values over time.
func (p *page) curves(title, description, unit string, w int, of ...target) {
	zero := 0.0
	p.put(panel{
		Type: "timeseries", Title: title, Description: description, Targets: of,
		FieldConfig: fieldConfig{Defaults: defaults{Unit: unit, Min: &zero}},
		Options: map[string]any{
			"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		},
	}, w, 8)
}

// states are bands over time, one a series.
func (p *page) states(title, description string, meaning map[string]shown, of target) {
	p.put(panel{
		Type: "state-timeline", Title: title, Description: description, Targets: []target{of},
		FieldConfig: fieldConfig{Defaults: defaults{Mappings: []mapping{{Type: "value", Options: meaning}}}},
		Options: map[string]any{
			"showValue": "never", "mergeValues": true, "rowHeight": 0.8,
			"legend": map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
		},
	}, width, 8)
}

// bars are what is now, the lowest first where the query sorts so.
func (p *page) bars(title, description, unit string, of target, colours *thresholds) {
	p.put(panel{
		Type: "bargauge", Title: title, Description: description, Targets: []target{of},
		FieldConfig: fieldConfig{Defaults: defaults{Unit: unit, NoValue: "none", Thresholds: colours}},
		Options: map[string]any{
			"orientation": "horizontal", "displayMode": "gradient", "showUnfilled": true,
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "values": false},
		},
	}, width/2, 8)
}

// noneIsGood is green at zero, and another colour from one on.
func noneIsGood(colour string) *thresholds { return rising("green", colour, 1) }

// moreIsGood is red below a value, and green from another one on.
func moreIsGood(red, green float64) *thresholds {
	return &thresholds{Mode: "absolute", Steps: []step{{Color: "red"}, {Color: "orange", Value: &red}, {Color: "green", Value: &green}}}
}

func rising(below, above string, from float64) *thresholds {
	return &thresholds{Mode: "absolute", Steps: []step{{Color: below}, {Color: above, Value: &from}}}
}
