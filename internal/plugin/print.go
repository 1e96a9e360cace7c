package plugin

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/dane-operator/dane-operator/api/v1alpha1"
)

// output is the flag -o of kubectl: json, yaml, name and so on.
type output struct{ *genericclioptions.PrintFlags }

func newOutput(cmd *cobra.Command) output {
	scheme := runtime.NewScheme()
	_ = v1alpha1.AddToScheme(scheme) // cannot fail: the types are fixed
	o := output{genericclioptions.NewPrintFlags("").WithTypeSetter(scheme)}
	o.AddFlags(cmd)
	return o
}

// object prints an object where -o asks for that, and says whether it did.
func (o output) object(out io.Writer, object runtime.Object) (bool, error) {
	if *o.OutputFormat == "" {
		return false, nil
	}
	printer, err := o.ToPrinter()
	if err != nil {
		return true, err
	}
	if *o.OutputFormat == "name" && meta.IsListType(object) {
		return true, meta.EachListItem(object, func(item runtime.Object) error { return printer.PrintObj(item, out) })
	}
	return true, printer.PrintObj(object, out)
}

// table prints rows below their headings as kubectl does.
func table(out io.Writer, headings []string, rows [][]string) error {
	t := &metav1.Table{}
	for _, h := range headings {
		t.ColumnDefinitions = append(t.ColumnDefinitions, metav1.TableColumnDefinition{Name: h, Type: "string"})
	}
	for _, row := range rows {
		var cells []any
		for _, c := range row {
			cells = append(cells, orNone(c))
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: cells})
	}
	printer := printers.NewTablePrinter(printers.PrintOptions{})
	if s, ok := out.(*screen); !ok || !s.colours || len(rows) == 0 {
		return printer.PrintObj(t, out)
	}
	var laidOut bytes.Buffer
	if err := printer.PrintObj(t, &laidOut); err != nil {
		return err
	}
	return colourful(out, laidOut.Bytes(), headings, rows)
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// counted is a number of things: "1 request", "2 requests".
func counted(n int, thing string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, thing)
	}
	if strings.HasSuffix(thing, "s") {
		return fmt.Sprintf("%d %ses", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// section prints a heading of a part.
func section(out io.Writer, format string, args ...any) { toned(out, heading, format, args...) }

// toned prints a heading that says whether the part is well.
func toned(out io.Writer, t tone, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(out, "\n%s\n%s\n", paint(out, t, text), strings.Repeat("-", len(text)))
}
