package forest

import (
	"encoding/json"
	"strconv"
	"strings"
)

// checkLGBTrailer checks what follows the trees up to the last byte, so that a file that is cut short anywhere
// is known for it. It ends with a line about pandas columns where LightGBM's Python package wrote the file,
// which matters to nobody else: categories are codes here.
func checkLGBTrailer(rest string, features []string, splits []int) error {
	body, pandas, ok := strings.Cut(rest, "\npandas_categorical:")
	if ok {
		if !json.Valid([]byte(pandas)) || !strings.HasSuffix(pandas, "\n") {
			return fault("pandas_categorical", "the last line is not whole: the file is cut short")
		}
		body = strings.TrimSuffix(body, "\r") // Python on Windows writes this line with its own line ends
	}
	body, ok = strings.CutPrefix(body, "end of trees\n")
	if !ok {
		return checkLGBOldTrailer(body, features, splits)
	}
	const end = "\nend of parameters\n"
	i := strings.LastIndex(body, end)
	if i < 0 {
		return fault("", "there is no \"end of parameters\": the file is cut short")
	}
	parser := body[i+len(end):] // how a training file was read
	if parser != "" && !(strings.HasPrefix(parser, "\nparser:\n") && strings.HasSuffix(parser, "\nend of parser\n")) {
		return fault("", "what follows \"end of parameters\" is unknown: the file is cut short or was edited")
	}
	return nil
}

// checkLGBOldTrailer checks the end as LightGBM before 2.2 wrote it. It has no mark of its own, but names how
// many splits each feature has; a file that is cut short there does not add up.
func checkLGBOldTrailer(body string, features []string, splits []int) error {
	body, ok := strings.CutPrefix(body, "\nfeature importances:\n")
	if !ok {
		return fault("", "there is no \"end of trees\" where tree_sizes says: the file is cut short or was edited")
	}
	want := make(map[string]bool)
	for i, name := range features {
		if splits[i] > 0 {
			want[name+"="+strconv.Itoa(splits[i])] = true
		}
	}
	for body != "" {
		var line string
		line, body, ok = strings.Cut(body, "\n")
		if ok && line == "parameters:" {
			if !strings.HasSuffix(body, "]\n\n") {
				return fault("parameters", "they do not end: the file is cut short")
			}
			break
		}
		if !ok || !want[line] {
			return fault("feature importances", "%.40q is not so: the file is cut short or was edited", line)
		}
		delete(want, line)
	}
	if len(want) > 0 {
		return fault("feature importances", "%d features are not there: the file is cut short", len(want))
	}
	return nil
}
