package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// preference is how long a client prefers to wait (RFC 7240).
type preference struct {
	wait    time.Duration
	applied string // value of Preference-Applied; "" where no preference was honoured
}

// preferred reads the Prefer headers: wait=N is whole seconds, respond-async alone is no wait. What is not
// understood is passed over, as the RFC wants it; of a preference that is there twice, the first counts.
func preferred(h http.Header, usual, most time.Duration) preference {
	async := false
	for _, p := range preferences(h) {
		switch p.name {
		case "wait":
			n, err := strconv.ParseUint(p.value, 10, 31)
			if err != nil {
				continue
			}
			wait := min(time.Duration(n)*time.Second, most)
			return preference{wait, "wait=" + strconv.Itoa(int(wait/time.Second))}
		case "respond-async":
			async = true
		}
	}
	if async {
		return preference{0, "respond-async"}
	}
	return preference{wait: usual}
}

type nameValue struct{ name, value string }

// preferences returns the preferences of all Prefer headers, in order, without their parameters. Names are in lower
// case.
func preferences(h http.Header) (list []nameValue) {
	for _, line := range h.Values("Prefer") {
		for _, element := range splitQuoted(line, ',') {
			first := splitQuoted(element, ';')[0]
			name, value, _ := strings.Cut(first, "=")
			value = strings.Trim(value, " \t")
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			if name = strings.ToLower(strings.Trim(name, " \t")); name != "" {
				list = append(list, nameValue{name, value})
			}
		}
	}
	return list
}

// splitQuoted splits at the separators that stand outside of quoted strings.
func splitQuoted(s string, separator byte) (parts []string) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++ // what is escaped ends nothing
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
