package plugin

import (
	"bytes"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
	"github.com/dane-operator/dane-operator/internal/dnssec/senderview"
	"github.com/dane-operator/dane-operator/internal/sendercheck"
	"github.com/dane-operator/dane-operator/internal/statusview"
)

// judged are the headings of columns whose words are good or bad.
var judged = []string{"Ready", "Safe", "Senders", "State", "Presented", "Grade", "Severity", "Done"}

// tones are those words.
var tones = map[string]tone{
	string(metav1.ConditionTrue): good, string(metav1.ConditionFalse): bad, string(metav1.ConditionUnknown): attention,

	string(senderview.DANE): good, string(senderview.NoMail): good, string(senderview.EncryptOnly): attention,
	string(senderview.Opportunistic): attention, string(senderview.Undeliverable): bad,

	string(senderview.Matched): good, string(senderview.Mismatched): bad, string(senderview.NoTLS): bad, string(senderview.Unreachable): attention,

	string(sendercheck.Good): good, string(sendercheck.Improve): attention, string(sendercheck.Missing): attention, string(sendercheck.Broken): bad,

	string(v1alpha1.FindingCritical): bad, string(v1alpha1.FindingWarning): attention,

	string(fine): good, string(warning): attention, string(broken): bad, string(unclear): attention,

	inSync: good, outOfSync: bad, answers: good, silent: bad,
	statusview.EndpointState(v1alpha1.EndpointStatus{Verified: true}):  good,
	statusview.EndpointState(v1alpha1.EndpointStatus{}):                attention,
	statusview.EndpointState(v1alpha1.EndpointStatus{SPKISHA256: "-"}): bad,

	past: good, here: heading, open: attention,
}

// What tables say of servers and of steps.
const (
	inSync, outOfSync = "in sync", "out of sync"
	answers, silent   = "answers", "does not answer"
	past, here, open  = "x", "*", "?"
)

// toneOf is that of a cell of a table.
func toneOf(column string, row []string, cell string) tone {
	switch {
	case column == "Status" && row[0] == v1alpha1.ConditionRolloverInProgress:
		return plain // neither good nor bad
	case column == "Status" && (row[0] == v1alpha1.ConditionStalled || row[0] == v1alpha1.ConditionSendersReportFailures):
		return map[string]tone{string(metav1.ConditionFalse): good, string(metav1.ConditionTrue): bad}[cell]
	case column == "Status", slices.Contains(judged, column):
		if strings.HasSuffix(cell, statusview.SomeFail) {
			return attention
		}
		return tones[cell]
	case column == "Rollover" && strings.HasPrefix(cell, statusview.UnsafeFrom):
		return bad
	}
	return plain
}

// colourful writes a table that is laid out already with its headings and cells in colour. Before, the colours would count
// as letters, and be escaped as what a server may have sent.
func colourful(out io.Writer, laidOut []byte, headings []string, rows [][]string) error {
	lines := bytes.Split(laidOut, []byte("\n"))
	first := string(lines[0])
	var at []int
	for _, h := range headings {
		from := 0
		if len(at) > 0 {
			from = at[len(at)-1] + 1
		}
		at = append(at, from+strings.Index(first[from:], strings.ToUpper(h)))
	}
	var text strings.Builder
	text.WriteString(paint(out, heading, strings.TrimRight(first, " ")) + "\n")
	for i, row := range rows {
		text.WriteString(colouredLine(out, []rune(string(lines[i+1])), at, headings, row) + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// colouredLine paints the cells of a line, which begin at these places, the last first: what is before stays in its place.
func colouredLine(out io.Writer, line []rune, at []int, headings, row []string) string {
	for i, cell := range slices.Backward(row) {
		from, to := at[i], at[i]+len([]rune(cell))
		if to > len(line) || string(line[from:to]) != cell {
			continue // it was cut or escaped
		}
		painted := []rune(paint(out, toneOf(headings[i], row, cell), cell))
		line = slices.Replace(line, from, to, painted...)
	}
	return string(line)
}
