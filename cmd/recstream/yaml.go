package main

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"
)

// rightForms are those of keys that are easily written otherwise.
var rightForms = map[string]string{
	"missing":    "missing has a policy, as in missing: {policy: nan}",
	"transforms": "each transform has a kind, as in transforms: [{kind: log1p}]",
	"params":     "params is a text: write 'params: |', and the parameters in the lines below, indented",
}

// readYAML reads a file's text into dst, and refuses keys that dst has not. An error names the line, and the right
// form where that is known.
func readYAML(text []byte, dst any) error {
	err := yaml.UnmarshalWithOptions(text, dst, yaml.Strict())
	if err == nil {
		return nil
	}
	said := yaml.FormatError(err, false, false)
	if at, ok := errors.AsType[yaml.Error](err); ok {
		if form := rightForm(at.GetToken()); form != "" {
			said += "; " + form
		}
	}
	return errors.New(said)
}

// rightForm is that of the key at a mistake, or of the one before, which a mistake may be found within; "" if it
// has none.
func rightForm(t *token.Token) string {
	for keys := 0; t != nil && keys < 2; t = t.Prev {
		if t.Next == nil || t.Next.Value != ":" {
			continue
		}
		if form := rightForms[t.Value]; form != "" {
			return form
		}
		keys++
	}
	return ""
}
