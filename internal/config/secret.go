package config

import (
	"log/slog"
	"net/url"
	"strings"
)

// What is printed in place of a secret, and of one in a URL.
const (
	hidden         = "[hidden]"
	hiddenPassword = "hidden"
)

// Secret is a text that prints as "[hidden]" however it is printed: by fmt, slog, JSON or YAML.
type Secret string

// Reveal returns the text itself, for the one who has to send it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[hidden]", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML hides the secret from YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// DatabaseURL is a postgres:// URL that prints without its password, however it is printed.
type DatabaseURL string

// Reveal returns the URL with its password, for the one who connects.
func (u DatabaseURL) Reveal() string { return string(u) }

// String returns the URL with its password hidden; a text that is no URL is hidden whole.
func (u DatabaseURL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Opaque != "" || !isPostgres(parsed.Scheme) {
		return hidden
	}
	if _, ok := parsed.User.Password(); ok {
		parsed.User = url.UserPassword(parsed.User.Username(), hiddenPassword)
	}
	parsed.RawQuery = hidePasswords(parsed.RawQuery)
	return parsed.String()
}

// hidePasswords hides the values of password and sslpassword, which Postgres also takes as parameters.
func hidePasswords(query string) string {
	if query == "" {
		return ""
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return hiddenPassword
	}
	for name := range values {
		if strings.Contains(strings.ToLower(name), "password") {
			values[name] = []string{hiddenPassword}
		}
	}
	return values.Encode()
}

func isPostgres(scheme string) bool { return scheme == "postgres" || scheme == "postgresql" }

// GoString hides the password from %#v.
func (u DatabaseURL) GoString() string { return `"` + u.String() + `"` }

// LogValue hides the password from slog.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides the password from JSON.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// MarshalYAML hides the password from YAML.
func (u DatabaseURL) MarshalYAML() (any, error) { return u.String(), nil }
