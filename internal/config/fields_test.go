package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFieldsAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Fields() {
		if f.Description == "" {
			t.Errorf("%s has no description", f.Path)
		}
		if strings.HasSuffix(f.Path, ".") || seen[f.Path] {
			t.Errorf("%q is no path of its own", f.Path)
		}
		seen[f.Path] = true
		if seen[f.Env] {
			t.Errorf("%s is set by %s, and so is another", f.Path, f.Env)
		}
		seen[f.Env] = true
	}
	if len(seen) < 2*40 {
		t.Errorf("%d fields, want all of them", len(seen)/2)
	}
}

// TestFieldsCanBeSet gives every field another value than its default, by variable and by file.
// The values need not be valid together: only the decoding is tried.
func TestFieldsCanBeSet(t *testing.T) {
	for _, f := range Fields() {
		t.Run(f.Path, func(t *testing.T) {
			text := otherValue(lookup(t, Default(), f.Path))
			inFile := text
			if lookup(t, Default(), f.Path).Kind() == reflect.Slice {
				inFile = "[\"" + text + "\"]"
			}
			byEnv, byFile := Default(), Default()
			if p := decodeEnv([]string{f.Env + "=" + text}, &byEnv); len(p) > 0 {
				t.Fatal(p)
			}
			if p := decodeYAML("file", []byte(nested(f.Path, inFile)), &byFile).problems; len(p) > 0 {
				t.Fatal(p)
			}
			for from, cfg := range map[string]Config{"variable": byEnv, "file": byFile} {
				if got := formatValue(lookup(t, cfg, f.Path)); got != text && got != hidden {
					t.Errorf("by %s: got %q, want %q", from, got, text)
				}
				if got := formatValue(lookup(t, cfg, f.Path)); got == f.Default {
					t.Errorf("by %s: still the default %q", from, got)
				}
			}
		})
	}
}

// lookup returns the value at the path.
func lookup(t *testing.T, cfg Config, path string) reflect.Value {
	t.Helper()
	v := reflect.ValueOf(cfg)
	for key := range strings.SplitSeq(path, ".") {
		field, ok := fieldByKey(v, key)
		if !ok {
			t.Fatalf("no field at %s", path)
		}
		v = field
	}
	return v
}

// otherValue writes a value of the same type as v that differs from it.
func otherValue(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return formatDuration(value + time.Minute)
	case []string:
		return "other:1"
	case bool:
		return fmt.Sprint(!value)
	case float64:
		return fmt.Sprint(value + 0.5)
	case int:
		return fmt.Sprint(value + 1)
	default:
		return "other"
	}
}

// nested writes path: text as YAML sections.
func nested(path, text string) string {
	var b strings.Builder
	keys := strings.Split(path, ".")
	for depth, key := range keys {
		b.WriteString(strings.Repeat("  ", depth) + key + ":")
		if depth < len(keys)-1 {
			b.WriteString("\n")
		}
	}
	return b.String() + " " + text + "\n"
}

func TestDidYouMean(t *testing.T) {
	known := []string{"group", "brokers", "partitions"}
	tests := map[string]string{
		"groups": "; did you mean group?",
		"broker": "; did you mean brokers?",
		"xyz":    "",
	}
	for name, want := range tests {
		if got := didYouMean(name, known); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for _, text := range []string{"0s", "5ms", "10s", "1m", "1m30s", "48h", "2160h", "1h30m", "10h", "100ms", "1h0m5s", "-1h"} {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := formatDuration(d); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}
