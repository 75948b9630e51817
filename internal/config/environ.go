package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Prefix starts the name of every variable that sets something.
const Prefix = "RECSTREAM_"

// FileVariable names the configuration file for the command line; it is no setting itself.
const FileVariable = Prefix + "CONFIG"

// notSetting tells variables with the prefix that belong to others: the command line, the tests and
// the scripts that start a Postgres.
func notSetting(name string) bool {
	return name == FileVariable ||
		strings.HasPrefix(name, Prefix+"TEST_") || strings.HasPrefix(name, Prefix+"PG_")
}

// decodeEnv sets what the variables of environ say. An empty variable is as good as none,
// as compose files and unit files pass those they have no value for.
func decodeEnv(environ []string, cfg *Config) []Problem {
	known := map[string]reflect.Value{}
	paths := map[string]string{}
	walk(reflect.ValueOf(cfg).Elem(), "", func(path, _ string, value reflect.Value) {
		known[variable(path)], paths[variable(path)] = value, path
	})
	vars := env.ToMap(environ)
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !strings.HasPrefix(name, Prefix) || notSetting(name) {
			continue
		}
		field, ok := known[name]
		if !ok {
			near := didYouMean(name, slices.Sorted(maps.Keys(known)))
			problems = append(problems, Problem{Where: name, Text: "no such setting" + near})
			continue
		}
		if !decodeText(vars[name], field) {
			problems = append(problems, Problem{Where: name, Text: "sets " + paths[name] + ", which is " + describe(field.Type())})
		}
	}
	return problems
}

// variable returns the name of the variable that sets the field at path.
func variable(path string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// decodeText reports whether text is a value of dst's type, and sets it. The text is parsed through a
// struct of one field made for it: so an error is known to be its own, and fields need no tags. The
// error itself is of no use: it repeats the value, which may be a secret.
func decodeText(text string, dst reflect.Value) bool {
	holder := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Value", Type: dst.Type(), Tag: `env:"VALUE"`},
	}))
	holder.Elem().Field(0).Set(dst)
	err := env.ParseWithOptions(holder.Interface(), env.Options{Environment: map[string]string{"VALUE": text}})
	if err != nil {
		return false
	}
	dst.Set(holder.Elem().Field(0))
	return true
}
