// Command dashboard writes the Grafana dashboard of config/grafana, made of the metrics of the operator. Its tests want
// every query to name metrics and labels that are there.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	text, err := render()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard: "+err.Error())
		os.Exit(1)
	}
}

// render is the dashboard in JSON, with one newline at the end.
func render() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // < and > stand in queries, for people to read
	e.SetIndent("", "  ")
	if err := e.Encode(assemble()); err != nil {
		return nil, fmt.Errorf("write the dashboard as JSON: %w", err)
	}
	return out.Bytes(), nil
}
