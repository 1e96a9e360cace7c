package dashboard

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// element is one of a page, with the text in it.
type element struct {
	name string
	of   map[string]string
	text string
}

// elementsOf reads a page as browsers do.
func elementsOf(t *testing.T, page string) []*element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var all, open []*element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, of: map[string]string{}}
			for _, a := range token.Attr {
				e.of[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.text += string(token)
			}
		}
	}
}

// faults are what keeps somebody from using a page who does not see it, has no mouse, or no network but this.
func faults(all []*element) []string {
	var out []string
	count, ids, labels := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, e := range all {
		count[e.name]++
		if id, ok := e.of["id"]; ok {
			ids[id]++
		}
		if e.name == "label" {
			labels[e.of["for"]] = true
		}
	}
	level := 0
	for _, e := range all {
		say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
		if id, ok := e.of["id"]; ok && (ids[id] > 1 || strings.ContainsAny(id, " \t\n") || id == "") {
			say("the id %q stands there %d times, or cannot be used", id, ids[id])
		}
		if by := e.of["aria-labelledby"]; by != "" && ids[by] == 0 {
			say("nothing is called %q", by)
		}
		for name, value := range e.of {
			if name == "style" || strings.HasPrefix(name, "on") {
				say("%s has the attribute %s, which the policy forbids", e.name, name)
			}
			if u, err := url.Parse(value); (name == "href" || name == "src" || name == "action") && (err != nil || u.Scheme != "" || u.Host != "") {
				say("%s leads elsewhere: %s", e.name, value)
			}
		}
		switch e.name {
		case "a", "button", "summary", "h1", "h2", "h3":
			if strings.TrimSpace(e.text) == "" {
				say("a %s has no name", e.name)
			}
		case "input":
			if e.of["type"] != "hidden" && !labels[e.of["id"]] {
				say("the field %s has no label", e.of["name"])
			}
		case "img":
			if _, ok := e.of["alt"]; !ok {
				say("the image %s has no text", e.of["src"])
			}
		case "script":
			if e.of["src"] == "" {
				say("a script stands in the page")
			}
		}
		if len(e.name) == 2 && e.name[0] == 'h' && e.name[1] >= '1' && e.name[1] <= '6' {
			if l := int(e.name[1] - '0'); l > level+1 {
				say("the heading %q skips a level", e.text)
			} else {
				level = l
			}
		}
	}
	for name, want := range map[string]int{"main": 1, "header": 1, "footer": 1, "h1": 1, "title": 1} {
		if count[name] != want {
			out = append(out, fmt.Sprintf("%d elements %s, want %d", count[name], name, want))
		}
	}
	return out
}

// TestStructure: each page has landmarks, one heading above the others, and names for everything that can be used; it loads
// nothing from elsewhere, and has no script or style in it.
func TestStructure(t *testing.T) {
	var more []client.Object
	for _, md := range mixed() {
		md.Status.MailServers = append(md.Status.MailServers, v1alpha1.MailServerStatus{Hostname: md.Name + ".left"})
		for i := range md.Status.MailServers {
			s := &md.Status.MailServers[i]
			s.Nameservers = []v1alpha1.NameserverSync{{Address: "192.0.2.1:53", Message: "behind"}}
			s.Keys = []v1alpha1.KeyStatus{{SPKISHA256: "ab", Since: hours(-1), Role: v1alpha1.RoleCurrent}}
			s.Records, s.ForeignRecords = []string{"a"}, []string{"b"}
		}
		md.Status.TLSReports = reported()
		more = append(more, &md)
	}
	bad := zoneFixture("bad", v1alpha1.ZoneFinding{Code: "SignatureExpired", Severity: v1alpha1.FindingCritical, Message: "expired"},
		v1alpha1.ZoneFinding{Code: "SignatureExpired", Severity: v1alpha1.FindingCritical, Server: "ns2", Message: "expired"})
	bad.Status.Conditions = append(bad.Status.Conditions, condition(v1alpha1.ConditionDNSSECSecure, metav1.ConditionFalse, v1alpha1.ReasonBogus, "bogus"))
	b := newBed(t, fakeClock(), nil, append(more, &bad)...)
	for _, path := range []string{
		"/", "/?namespace=a&state=safe&q=e", "/?q=nobody", "/zones", "/zone?namespace=dns&dnszone=bad", "/host?namespace=b&maildomain=unsafe&host=z.example",
		"/host?namespace=a&maildomain=moving&host=d.example", "/host?namespace=b&maildomain=unknown&host=c.example", "/host?namespace=b&maildomain=x&host=y",
	} {
		for _, token := range []string{"all", "page", ""} {
			for _, fault := range faults(elementsOf(t, b.get(path, token).Body.String())) {
				t.Errorf("%s for %q: %s", path, token, fault)
			}
		}
	}
}

// TestStructureIsLookedAt: a page that is wrong in every way is found out.
func TestStructureIsLookedAt(t *testing.T) {
	const page = `<main><h1>a</h1><h3 id="x">b</h3><p id="x" style="color:red" aria-labelledby="no"></p><a href="https://other.example"></a>` +
		`<img src="//other.example/a"><input name="q"><script>alert(1)</script></main>`
	if got := faults(elementsOf(t, page)); len(got) < 12 {
		t.Errorf("only this was found: %q", got)
	}
}

var (
	palette = regexp.MustCompile(`(?s):root \{(.*?)\}`)
	colour  = regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`)
)

// luminance is that of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	hex = strings.TrimPrefix(hex, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	out := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		out += weight * c
	}
	return out
}

// TestContrast: by day and by night each colour of text stands out from each ground that it stands on (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	text, err := web.ReadFile("web/style.css")
	if err != nil {
		t.Fatal(err)
	}
	schemes := palette.FindAllStringSubmatch(string(text), -1)
	if len(schemes) != 2 {
		t.Fatalf("%d palettes", len(schemes))
	}
	for i, scheme := range schemes {
		colours := map[string]string{}
		for _, c := range colour.FindAllStringSubmatch(scheme[1], -1) {
			colours[c[1]] = c[2]
		}
		pairs := [][2]string{{"card", "link"}, {"unsafe-soft", "unsafe"}, {"soft", "attention-soft"}, {"link", "attention-soft"}}
		for _, ground := range []string{"page", "card", "unknown-soft"} {
			pairs = append(pairs, [2]string{"text", ground}, [2]string{"soft", ground}, [2]string{"link", ground})
		}
		for _, l := range Levels() {
			pairs = append(pairs, [2]string{l.Class(), l.Class() + "-soft"}, [2]string{l.Class(), "card"}, [2]string{l.Class(), "page"}, [2]string{"text", l.Class() + "-soft"})
		}
		for _, p := range pairs {
			a, b := luminance(t, colours[p[0]]), luminance(t, colours[p[1]])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("palette %d: %s on %s has a contrast of %.2f", i, p[0], p[1], ratio)
			}
		}
	}
}
