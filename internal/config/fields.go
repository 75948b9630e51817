package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Field documents one setting.
type Field struct {
	Path        string `json:"path"`        // in the file, such as kafka.tls.ca_file
	Env         string `json:"env"`         // variable that sets it
	Default     string `json:"default"`     // as it is written in a variable; "" is empty
	Description string `json:"description"` // one line
}

// Fields returns every setting in the file's order: the table that the documentation prints.
func Fields() []Field {
	var fields []Field
	defaults := Default()
	walk(reflect.ValueOf(&defaults).Elem(), "", func(path, desc string, value reflect.Value) {
		fields = append(fields, Field{path, variable(path), formatValue(value), desc})
	})
	return fields
}

// walk visits every setting below a section, in order, with its path and its desc tag.
func walk(section reflect.Value, path string, visit func(path, desc string, value reflect.Value)) {
	for i := range section.NumField() {
		tag, value := section.Type().Field(i).Tag, section.Field(i)
		name := joinPath(path, tag.Get("yaml"))
		if value.Kind() == reflect.Struct {
			walk(value, name, visit)
			continue
		}
		visit(name, tag.Get("desc"), value)
	}
}

func formatValue(v reflect.Value) string {
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return formatDuration(d)
	}
	return fmt.Sprint(v.Interface())
}

// formatDuration writes 48h where Duration.String writes 48h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}
