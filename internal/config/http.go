package config

import (
	"net"
	"strconv"
	"time"
)

// HTTP says whether and how an instance answers over HTTP.
type HTTP struct {
	Listen         string        `yaml:"listen" desc:"Address of the HTTP interface, host:port; empty is none. Without http.tokens only one of this machine, such as 127.0.0.1:8080"`
	Tokens         Secrets       `yaml:"tokens" desc:"Bearer tokens, one for each client, of 16 characters or more; never printed"`
	OpenMetrics    bool          `yaml:"open_metrics" desc:"Serve /metrics without a token"`
	WaitDefault    time.Duration `yaml:"wait_default" desc:"Wait for a result where the request does not prefer another"`
	WaitMax        time.Duration `yaml:"wait_max" desc:"Longest wait for a result, whatever the request prefers"`
	Rate           int           `yaml:"rate" desc:"Requests a second of one token, and in one burst; 0 is no limit"`
	MaxInFlight    int           `yaml:"max_in_flight" desc:"Most requests at the same time, those that wait among them"`
	MaxConnections int           `yaml:"max_connections" desc:"Most connections; further ones wait to be accepted"`
	HeaderTimeout  time.Duration `yaml:"header_timeout" desc:"Time to send a request's header"`
	ReadTimeout    time.Duration `yaml:"read_timeout" desc:"Time to send a whole request"`
	WriteTimeout   time.Duration `yaml:"write_timeout" desc:"Time to take an answer, on top of the wait for it"`
	IdleTimeout    time.Duration `yaml:"idle_timeout" desc:"Time for which a connection without a request is kept"`
	DrainTimeout   time.Duration `yaml:"drain_timeout" desc:"Time to answer the requests in hand at a stop, before the consumers stop"`
}

// Enabled reports whether there is an HTTP interface.
func (h HTTP) Enabled() bool { return h.Listen != "" }

func defaultHTTP() HTTP {
	return HTTP{
		WaitDefault:    5 * time.Second,
		WaitMax:        30 * time.Second,
		Rate:           1000,
		MaxInFlight:    1024,
		MaxConnections: 2048,
		HeaderTimeout:  5 * time.Second,
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   10 * time.Second,
		IdleTimeout:    2 * time.Minute,
		DrainTimeout:   5 * time.Second,
	}
}

// minTokenLength keeps tokens from being guessed.
const minTokenLength = 16

func (v *validation) http(h HTTP) {
	v.listen(h)
	for _, token := range h.Tokens {
		v.check(token != hidden, "http.tokens", "has %q, which is what recstream prints in its place", hidden)
		v.check(isToken(token.Reveal()), "http.tokens",
			"has a token that is shorter than %d characters, or has others than letters, digits and -._~+/=", minTokenLength)
	}
	v.duration("http.wait_max", h.WaitMax, time.Second, 10*time.Minute)
	v.duration("http.wait_default", h.WaitDefault, 0, h.WaitMax)
	v.whole("http.rate", h.Rate, 0, 1_000_000)
	v.whole("http.max_in_flight", h.MaxInFlight, 1, 100_000)
	v.whole("http.max_connections", h.MaxConnections, 1, 100_000)
	v.duration("http.header_timeout", h.HeaderTimeout, 100*time.Millisecond, time.Minute)
	v.duration("http.read_timeout", h.ReadTimeout, 100*time.Millisecond, 10*time.Minute)
	v.duration("http.write_timeout", h.WriteTimeout, 100*time.Millisecond, 10*time.Minute)
	v.duration("http.idle_timeout", h.IdleTimeout, time.Second, time.Hour)
	v.duration("http.drain_timeout", h.DrainTimeout, 100*time.Millisecond, 10*time.Minute)
}

// listen refuses an address that others can reach while anybody may ask.
func (v *validation) listen(h HTTP) {
	if h.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(h.Listen)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
		v.refuse("http.listen", "%q is not host:port with a port from 0 (any that is free) to 65535", h.Listen)
		return
	}
	v.check(len(h.Tokens) > 0 || isLoopback(host), "http.listen",
		"%q can be reached from other machines while http.tokens is empty; set http.tokens, or listen on 127.0.0.1:%s", h.Listen, port)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isToken reports whether a text is long enough, and can stand in an Authorization header (RFC 6750, section 2.1).
func isToken(text string) bool {
	for _, c := range []byte(text) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		switch {
		case letter, c == '-', c == '.', c == '_', c == '~', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return len(text) >= minTokenLength
}

// Secrets are texts that print as "[hidden]" however they are printed.
type Secrets []Secret

// String returns "[hidden]", or "" for none.
func (s Secrets) String() string {
	if len(s) == 0 {
		return ""
	}
	return hidden
}

// GoString hides the secrets from %#v.
func (s Secrets) GoString() string { return `"` + s.String() + `"` }

// MarshalYAML hides the secrets from YAML, each for itself.
func (s Secrets) MarshalYAML() (any, error) {
	texts := make([]string, len(s))
	for i, one := range s {
		texts[i] = one.String()
	}
	return texts, nil
}
