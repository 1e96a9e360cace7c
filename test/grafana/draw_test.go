package grafana

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func panel(t *testing.T, text string) Panel {
	t.Helper()
	p := Panel{}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// series has a value each second from noon on; a nil is a gap.
func series(name string, values ...any) Series {
	s := Series{Name: name}
	for i, v := range values {
		if v != nil {
			s.Points = append(s.Points, Point{noon.Add(time.Duration(i) * time.Second), v.(float64)})
		}
	}
	return s
}

// TestPanels draws a panel of each kind.
func TestPanels(t *testing.T) {
	over := Over(noon.Add(10*time.Second), 10*time.Second)
	const colours = `"thresholds":{"steps":[{"color":"green","value":null},{"color":"red","value":1}]}`
	for _, row := range []struct {
		reason, panel string
		series        []Series
		want, lacks   []string
	}{
		{"a figure below the threshold", `{"type":"stat","title":"Hosts","fieldConfig":{"defaults":{` + colours + `}}}`,
			[]Series{series("", 0.0)}, []string{"Hosts", ">0<", palette["green"]}, []string{palette["red"]}},
		{"a figure on it", `{"type":"stat","fieldConfig":{"defaults":{` + colours + `}}}`, []Series{series("", 1.0)}, []string{palette["red"]}, nil},
		{"a figure that nobody knows", `{"type":"stat","fieldConfig":{"defaults":{"noValue":"not known",` + colours + `}}}`, nil,
			[]string{"not known"}, []string{palette["green"]}},
		{"bars against the longest", `{"type":"bargauge","fieldConfig":{"defaults":{"unit":"s",` + colours + `}}}`,
			[]Series{series("a", 60.0), series("b", 240.0)}, []string{"width: 25%", "width: 100%", "1 mins", "4 mins"}, nil},
		{"bars without data", `{"type":"bargauge","fieldConfig":{"defaults":{"noValue":"none"}}}`, nil, []string{"none"}, nil},
		{"states with a change and a gap",
			`{"type":"state-timeline","fieldConfig":{"defaults":{"mappings":[{"options":{"0":{"text":"senders may fail","color":"red"},"1":{"text":"safe","color":"green"}}}]}}}`,
			[]Series{series("mx1", 1.0, 1.0, 0.0, nil, nil, 1.0, 1.0)},
			[]string{"mx1", "left: 0%; width: 20%", "left: 20%; width: 10%", "left: 50%; width: 20%", "senders may fail"}, nil},
		{"curves", `{"type":"timeseries","gridPos":{"w":12,"h":8}}`, []Series{series("Rumoured", 1.0, 2.0, nil, nil, 3.0)}, []string{"Rumoured", "<svg", lines[0]}, nil},
		{"curves without data", `{"type":"timeseries"}`, nil, []string{"no data"}, []string{"<svg"}},
		{"names of others are text", `{"type":"bargauge"}`, []Series{series("<script>", 1.0)}, []string{"&lt;script&gt;"}, []string{"<script>"}},
	} {
		var out bytes.Buffer
		if _, err := Page(&out, &Dashboard{Title: "t"}, []Filled{{Panel: panel(t, row.panel), Series: row.series}}, over); err != nil {
			t.Errorf("%s: %v", row.reason, err)
			continue
		}
		_, body, _ := strings.Cut(out.String(), "<main")
		for _, want := range row.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%s", row.reason, want, body)
			}
		}
		for _, not := range row.lacks {
			if strings.Contains(body, not) {
				t.Errorf("%s: %q is in\n%s", row.reason, not, body)
			}
		}
	}
}

// TestWords are seconds as people read them.
func TestWords(t *testing.T) {
	for value, want := range map[float64]string{0: "0 s", 0.012: "12 ms", 1.5: "1.5 s", 59: "59 s", 90: "1.5 mins", 7200: "2 hours", 86400 * 3: "3 days", 86400 * 89.99: "12.9 weeks"} {
		if got := (Defaults{Unit: "s"}).words(value); got != want {
			t.Errorf("%g s is %q, want %q", value, got, want)
		}
	}
	for value, want := range map[float64]string{0: "0", 3: "3", 1234.4: "1234", 12.34: "12.3", -12.34: "-12.3"} {
		if got := (Defaults{}).words(value); got != want {
			t.Errorf("%g is %q, want %q", value, got, want)
		}
	}
}

// TestMarked: a time shown has eight round times below it at the most, and none at its ends.
func TestMarked(t *testing.T) {
	for long, want := range map[time.Duration][]string{
		40 * time.Second: {"12:00:15", "12:00:30"}, 4 * time.Minute: {"12:00:30", "12:01:00", "12:01:30", "12:02:00", "12:02:30", "12:03:00", "12:03:30"},
		3 * time.Hour: {"13:00", "14:00"}, 6 * time.Minute: {"12:01", "12:02", "12:03", "12:04", "12:05"},
	} {
		var got []string
		for _, m := range marked(noon, noon.Add(long)) {
			got = append(got, m.Text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("below %s stand %v, want %v", long, got, want)
		}
	}
}

// TestRows picks rows, and moves them to the top.
func TestRows(t *testing.T) {
	var filled []Filled
	for i, text := range []string{`{"type":"row","title":"A"}`, `{"type":"stat","title":"1"}`, `{"type":"row","title":"B"}`, `{"type":"stat","title":"2"}`} {
		p := panel(t, text)
		p.Place.Y = i
		filled = append(filled, Filled{Panel: p})
	}
	var got []string
	for _, f := range Rows(filled, "B") {
		got = append(got, f.Title)
	}
	if !slices.Equal(got, []string{"B", "2"}) || Rows(filled, "B")[1].Place.Y != 1 || filled[3].Place.Y != 3 {
		t.Errorf("the rows are %v", got)
	}
}

// TestUnknownPanels: a kind of panel that nothing draws is an error, and no gap in a picture.
func TestUnknownPanels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.json")
	if err := os.WriteFile(file, []byte(`{"panels":[{"type":"piechart","title":"pie"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), "piechart") {
		t.Errorf("got %v", err)
	}
}
