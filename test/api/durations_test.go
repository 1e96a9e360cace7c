package api

import (
	"fmt"
	"strings"
)

// durationRows are the rows of a field that holds a length of time of up to limit, such as
// rollover.publishSafety.
func durationRows(path, limit string) []row {
	parts := strings.Split(path, ".")
	set := func(value string) string {
		return "{" + strings.Join(parts, ": {") + ": " + value + strings.Repeat("}", len(parts))
	}
	field := "spec." + path
	between := fmt.Sprintf("%s must be between 0s and %s", field, limit)
	rows := []row{
		{"no wait at all, for labs", set("0s"), "", ""},
		{"minutes and seconds", set("1m30s"), "", ""},
		{"a fraction", set("1.5h"), "", ""},
		{"milliseconds", set("500ms"), "", ""},
		{"the longest", set(limit), "", ""},
		{"longer than the longest", set("8761h"), field, between},
		{"longer than 64 bits hold", set("99999999999999999h"), field, "must be between"},
		{"a negative length of time", set("-1h"), field, "should match"},
		{"days are not known", set("1d"), field, "should match"},
		{"a number without a unit", set(`"60"`), field, "should match"},
		{"a bare number", set("60"), field, "must be of type string"},
		{"words", set("soon"), field, "should match"},
		{"a space inside", set("1h 30m"), field, "should match"},
		{"a line break at the end", set(`"1h\n"`), field, "should match"},
		{"an empty text", set(`""`), field, "at least 2 chars"},
		{"much too long", set(strings.Repeat("1s", 11)), field, "20"},
	}
	for i := range rows {
		rows[i].reason = path + ": " + rows[i].reason
	}
	return rows
}
