package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/linewrap"
)

// snapshot is what the view shows.
type snapshot struct {
	step    string
	domain  *v1alpha1.MailDomain
	zone    *v1alpha1.DNSZone
	servers []serverView
	served  string
	found   []tally
}

// serverView is what one name server shows.
type serverView struct {
	name, address string
	records       []string
}

// maxWidth is how wide lines are at the most, and where the width of the terminal is not known.
const maxWidth = 120

// view draws snapshots: in place on a terminal, and as lines of what changed elsewhere.
type view struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	// width of lines; 0 for maxWidth.
	width int
	start time.Time
	lines int
	// last is what was said last of each row.
	last  map[string]string
	ended bool
}

// end makes the picture that stands now the last one: the verdict comes after it.
func (v *view) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
}

// log writes a line that stays above the picture. What has several lines, such as commands to copy, stays as it is.
func (v *view) log(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return
	}
	v.erase()
	text := fmt.Sprintf(format, args...)
	if strings.Contains(text, "\n") {
		fmt.Fprintf(v.out, "%s  %s\n", v.elapsed(), text)
		return
	}
	fmt.Fprint(v.out, v.row(v.elapsed()+"  ", text))
}

func (v *view) elapsed() string {
	return fmt.Sprintf("%5.1fs", time.Since(v.start).Seconds())
}

// row is a text behind a label, in as many lines as it takes.
func (v *view) row(label, text string) string {
	width := v.width
	if width == 0 {
		width = maxWidth
	}
	var b strings.Builder
	lines := linewrap.Wrap(strings.Fields(text), width-len([]rune(label)))
	if len(lines) == 0 {
		lines = []string{""} // the label is said all the same
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "%s%s\n", label, line)
		label = strings.Repeat(" ", len([]rune(label)))
	}
	return b.String()
}

func (v *view) erase() {
	if v.terminal && v.lines > 0 {
		fmt.Fprintf(v.out, "\033[%dA\033[J", v.lines)
	}
	v.lines = 0
}

// draw shows a snapshot.
func (v *view) draw(s snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return
	}
	if !v.terminal {
		v.tell(s)
		return
	}
	picture := v.picture(s)
	v.erase()
	fmt.Fprint(v.out, picture)
	v.lines = strings.Count(picture, "\n")
}

// tell writes the rows that have changed since the last time.
func (v *view) tell(s snapshot) {
	if v.last == nil {
		v.last = map[string]string{}
	}
	when := v.elapsed()
	for _, r := range s.changing() {
		if v.last[r.label] == r.text {
			continue
		}
		v.last[r.label] = r.text
		fmt.Fprint(v.out, v.row(fmt.Sprintf("%6s  %-10s ", when, r.label), r.text))
		when = ""
	}
}

// labelled is a row of what is shown.
type labelled struct{ label, text string }

// changing are the rows without what changes all the time.
func (s snapshot) changing() []labelled {
	var shown []string
	for _, server := range s.servers {
		shown = append(shown, server.name+": "+server.summary())
	}
	return []labelled{
		{"records", strings.Join(shown, " | ")}, {"presented", short(s.served)}, {"DNSSEC", stateLine(s.zone)},
		{"keys", keysLine(s.domain)}, {"others", othersLine(s.domain)}, {"waits for", s.waiting()},
	}
}

// picture is a snapshot for a terminal.
func (v *view) picture(s snapshot) string {
	var b strings.Builder
	row := func(label, text string) { b.WriteString(v.row(fmt.Sprintf("  %-22s ", label), text)) }
	b.WriteString("\n" + v.row("── "+v.elapsed()+"  ", s.step))
	for _, server := range s.servers {
		row("records at "+server.name, server.summary())
	}
	row("caches may hold", cachedLine(s.domain))
	row("keys", keysLine(s.domain))
	row("presented", short(s.served))
	row("DNSSEC", dnssecLine(s.zone))
	row("other records", othersLine(s.domain))
	row("waits for", s.waiting())
	row("safe", safeLine(s.domain))
	sum := total(s.found)
	row("senders", fmt.Sprintf("%d checks, %d mismatches, %d times unreachable", sum.checks, sum.mismatches, sum.unreachable))
	return b.String()
}

// waiting is what is waited for, with name servers by the names that they have here. What fails because it is to fail
// says so.
func (s snapshot) waiting() string {
	text := waitingLine(s.domain)
	published := false
	for _, server := range s.servers {
		text = strings.ReplaceAll(text, server.address, server.name)
		published = published || len(server.records) > 0
	}
	if !published && strings.Contains(text, "failed") {
		text += " (expected: the mail server has no certificate before cert-manager has issued the first)"
	}
	return text
}

func (s serverView) summary() string {
	if len(s.records) == 0 {
		return "nothing"
	}
	var out []string
	for _, r := range s.records {
		fields := strings.Fields(r)
		out = append(out, short(fields[len(fields)-1]))
	}
	return strings.Join(out, " ")
}

// short is enough of a digest to tell keys apart.
func short(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return strings.ToLower(digest[:min(8, len(digest))])
}

func keysLine(md *v1alpha1.MailDomain) string {
	var out []string
	for _, s := range statuses(md) {
		for _, k := range s.Keys {
			text := fmt.Sprintf("%s %s/%s", short(k.SPKISHA256), k.Role, k.Visibility)
			if k.DeployableAt != nil && k.Role == v1alpha1.RoleNext {
				text += " deployable " + k.DeployableAt.Format(time.TimeOnly)
			}
			if k.RemovableAt != nil {
				text += " removable " + k.RemovableAt.Format(time.TimeOnly)
			}
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "none yet"
	}
	return strings.Join(out, ", ")
}

func cachedLine(md *v1alpha1.MailDomain) string {
	var out []string
	for _, s := range statuses(md) {
		for _, v := range s.Versions {
			if v.Unknown || len(v.Records) == 0 {
				continue
			}
			view := serverView{records: v.Records}
			until := "served now"
			if v.LastSeen != nil {
				until = "until " + v.LastSeen.Add(time.Duration(v.TTL)*time.Second).Format(time.TimeOnly)
			}
			out = append(out, fmt.Sprintf("{%s %s}", view.summary(), until))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, " ")
}

// stateLine is the DNSSEC state of the zone, and what else its condition says.
func stateLine(z *v1alpha1.DNSZone) string {
	if z == nil || z.Status.DNSSEC.State == "" {
		return "not known yet"
	}
	line := string(z.Status.DNSSEC.State)
	if c := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionDNSSECSecure); c != nil && c.Message != "" {
		line += " (" + c.Message + ")"
	}
	return line
}

// dnssecLine is the state of the zone with its keys, how it is entered, and how long its signatures last.
func dnssecLine(z *v1alpha1.DNSZone) string {
	line := stateLine(z)
	if z == nil {
		return line
	}
	found := z.Status.DNSSEC
	if len(found.Keys) > 0 {
		line += fmt.Sprintf(", %s, keys %s", strings.Join(found.Algorithms, " "), strings.Join(found.Keys, " "))
	}
	for _, ds := range found.DS {
		tag, _, _ := strings.Cut(ds, " ")
		line += ", entered by the DS record of key " + tag
	}
	if at := found.SignaturesExpire; at != nil {
		line += ", signed until " + at.Local().Format(time.DateTime)
	}
	return line
}

func waitingLine(md *v1alpha1.MailDomain) string {
	if md == nil || md.Status.NextTransition == nil {
		return "nothing"
	}
	t := md.Status.NextTransition
	if t.Time == nil {
		return t.Action
	}
	return "until " + t.Time.Local().Format(time.TimeOnly) + ": " + t.Action
}

func safeLine(md *v1alpha1.MailDomain) string {
	if md == nil {
		return "nothing is known yet"
	}
	c := meta.FindStatusCondition(md.Status.Conditions, v1alpha1.ConditionRolloverSafe)
	if c == nil {
		return "nothing is known yet"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", c.Status, c.Message))
}

func statuses(md *v1alpha1.MailDomain) []v1alpha1.MailServerStatus {
	if md == nil {
		return nil
	}
	return md.Status.MailServers
}
