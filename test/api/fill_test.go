package api

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fill puts a value into every field below what target points to, so that a field which the schema
// does not know is noticed when it does not come back. Text gets the values that enumerations take.
func fill(t *testing.T, target any) {
	t.Helper()
	fillValue(t, reflect.ValueOf(target).Elem(), "")
}

// enumerations are the values of text that the schema restricts, by the name of the type or field.
var enumerations = map[string]string{
	"KeyRole": "Previous", "SenderVerdict": "Opportunistic", "TroubleKind": "Nameserver", "Visibility": "Unretentive",
	"Type": "Ready", "Reason": "Ready", "ConditionStatus": "False",
	"SPKISHA256": sha256Hex, "MailRecord": "SPF", "MailRecordState": "Waiting", "DKIMState": "Conflict",
}

func fillValue(t *testing.T, v reflect.Value, field string) {
	t.Helper()
	if v.Type() == reflect.TypeFor[metav1.Time]() {
		v.Set(reflect.ValueOf(metav1.NewTime(time.Date(2031, 5, 4, 3, 2, 1, 0, time.UTC).Local())))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(t, v.Elem(), field)
	case reflect.Struct:
		for i := range v.NumField() {
			fillValue(t, v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillValue(t, v.Index(0), field)
	case reflect.String:
		v.SetString(text(v.Type().Name(), field))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(3)
	default:
		t.Fatalf("field %s: no value for %s", field, v.Type())
	}
}

func text(typeName, field string) string {
	if value, ok := enumerations[typeName]; ok {
		return value
	}
	if value, ok := enumerations[field]; ok {
		return value
	}
	return "text"
}
