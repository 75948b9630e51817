package config

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const exampleToken Secret = "a-token-of-16-ch" // the shortest that is taken

func TestHTTPListen(t *testing.T) {
	tests := map[string]struct {
		listen string
		tokens Secrets
		wrong  string // what the error names; "" is none
	}{
		"off":                        {listen: ""},
		"loopback":                   {listen: "127.0.0.1:8080"},
		"another loopback":           {listen: "127.0.0.2:0"},
		"IPv6 loopback":              {listen: "[::1]:8080"},
		"localhost":                  {listen: "localhost:8080"},
		"all, with a token":          {listen: ":8080", tokens: Secrets{exampleToken}},
		"all, without":               {listen: ":8080", wrong: "http.tokens is empty"},
		"all IPv4, without":          {listen: "0.0.0.0:8080", wrong: "http.tokens is empty"},
		"all IPv6, without":          {listen: "[::]:8080", wrong: "http.tokens is empty"},
		"a name, without":            {listen: "localhost.example.com:8080", wrong: "http.tokens is empty"},
		"no port":                    {listen: "127.0.0.1", wrong: "is not host:port"},
		"port too large":             {listen: "127.0.0.1:65536", wrong: "is not host:port"},
		"short token":                {listen: ":8080", tokens: Secrets{exampleToken[1:]}, wrong: "shorter than 16"},
		"token with a space":         {listen: ":8080", tokens: Secrets{exampleToken + " x"}, wrong: "others than letters"},
		"second token short":         {listen: ":8080", tokens: Secrets{exampleToken, "x"}, wrong: "shorter than 16"},
		"placeholder instead of one": {listen: ":8080", tokens: Secrets{hidden}, wrong: "prints in its place"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			cfg.HTTP.Listen, cfg.HTTP.Tokens = test.listen, test.tokens
			err := cfg.Validate()
			if test.wrong == "" && err != nil || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("error %v, want one with %q", err, test.wrong)
			}
		})
	}
}

func TestTokensAreHidden(t *testing.T) {
	cfg := Default()
	if p := decodeEnv([]string{"RECSTREAM_HTTP_TOKENS=" + string(exampleToken+","+exampleToken+"2")}, &cfg); len(p) > 0 {
		t.Fatal(p)
	}
	if len(cfg.HTTP.Tokens) != 2 || cfg.HTTP.Tokens[1].Reveal() != string(exampleToken+"2") {
		t.Fatalf("%d tokens", len(cfg.HTTP.Tokens))
	}
	yaml, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "tokens", cfg.HTTP.Tokens)
	for how, text := range map[string]string{
		"%v": fmt.Sprintf("%v", cfg), "%+v": fmt.Sprintf("%+v", cfg), "%#v": fmt.Sprintf("%#v", cfg), "text": cfg.HTTP.Tokens.String(),
		"YAML": string(yaml), "slog": logged.String(),
	} {
		if strings.Contains(text, string(exampleToken)) {
			t.Errorf("%s shows a token", how)
		}
	}
}
