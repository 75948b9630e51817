package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/deadletter"
	"recstream/schemas"
)

func TestDLQUsage(t *testing.T) {
	tests := map[string]struct{ args, stderr string }{
		"nothing chosen":   {"dlq redrive", "no letters are chosen; name their places"},
		"no place":         {"dlq show 3-17", `"3-17" is no place; use PARTITION/OFFSET`},
		"negative offset":  {"dlq show 3/-1", "is no place"},
		"no time":          {"dlq list --since yesterday", `--since "yesterday" is neither a time`},
		"no age":           {"dlq purge", `--older-than "" is no age`},
		"negative age":     {"dlq purge --older-than -3h", "is no age"},
		"no rate":          {"dlq redrive --all --rate -1", "--rate -1 is no rate"},
		"at most none":     {"dlq redrive --all --max 0", "--max 0 is no number of letters"},
		"no redrive left":  {"dlq redrive --all --max-redrives 0", "--max-redrives 0 leaves no letter"},
		"raw of many":      {"dlq show --raw", "--raw prints one letter"},
		"limit 0":          {"dlq show --limit 0", "--limit 0 is no number"},
		"unknown command":  {"dlq lst", "did you mean list?"},
		"an argument more": {"dlq list 3/17", "unknown command"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := recstream(t, nil, "", strings.Split(test.args, " ")...)
			if got.status != exitUsage || !strings.Contains(got.stderr, test.stderr) {
				t.Errorf("status %d, %s", got.status, got.stderr)
			}
		})
	}
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"36h":                       now.Add(-36 * time.Hour),
		"7d":                        now.AddDate(0, 0, -7),
		"2026-03-01":                time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"2026-03-01T10:00:00+01:00": time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	} {
		if got, err := momentOf("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

// TestSelection has what continues a run that was cut off, and what does not.
func TestSelection(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 500, time.UTC)
	tests := map[string]struct{ args, want, again string }{
		"all":              {"--all", "--all=true", ""},
		"who and how fast": {"--all --by ada --why bug --rate 5 -o json", "--all=true", ""},
		"an age":           {"--since 24h --again", "--again=true --since=2026-03-13T12:00:00Z", " with --since 2026-03-13T12:00:00Z"},
		"that age as time": {"--since 2026-03-13T12:00:00Z --again", "--again=true --since=2026-03-13T12:00:00Z", ""},
		"another zone":     {"--again --since 2026-03-13T13:00:00+01:00", "--again=true --since=2026-03-13T12:00:00Z", ""},
		"a day":            {"--until 2026-03-13", "--until=2026-03-13T00:00:00Z", ""},
		"places":           {"3/17 0/2 --max 4", "--max=4 0/2 3/17", ""},
		"a file":           {"--mended f.json", "--mended=sum", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var f redriveFlags
			cmd := &cobra.Command{}
			f.register(cmd)
			if err := cmd.ParseFlags(strings.Split(test.args, " ")); err != nil {
				t.Fatal(err)
			}
			filter, err := f.filter(cmd.Flags().Args(), now)
			if err != nil {
				t.Fatal(err)
			}
			if got := selectionOf(cmd, cmd.Flags().Args(), filter, "sum"); got != test.want {
				t.Errorf("selection %q, want %q", got, test.want)
			}
			if got := f.asTimes(filter); got != test.again {
				t.Errorf("to be repeated%q, want %q", got, test.again)
			}
		})
	}
}

// TestLettersArePrinted has payloads that could upset a terminal.
func TestLettersArePrinted(t *testing.T) {
	tests := map[string]struct {
		letter deadletter.Letter
		full   bool
		want   []string
	}{
		"JSON":        {deadletter.Letter{Value: []byte(`{"a":[1]}`)}, false, []string{"value        9 bytes\n", "  {\n    \"a\": ["}},
		"text":        {deadletter.Letter{Value: []byte("é\x1b[2J\nb")}, false, []string{`  é\x1b[2J` + "\n  b\n"}},
		"bytes":       {deadletter.Letter{Value: []byte{0xff, 0, 1}}, false, []string{"  00000000  ff 00 01 ", "|...|"}},
		"tombstone":   {deadletter.Letter{}, false, []string{"null (a tombstone)"}},
		"empty":       {deadletter.Letter{Value: []byte{}}, false, []string{"value        empty"}},
		"left out":    {deadletter.Letter{Omitted: 2_000_000}, false, []string{"the record has 2000000 bytes"}},
		"long":        {deadletter.Letter{Value: []byte(strings.Repeat("x", 5000) + "END")}, false, []string{"5003 bytes", "… and 907 bytes more; --full prints them"}},
		"long, cut é": {deadletter.Letter{Value: []byte("x" + strings.Repeat("é", 3000))}, false, []string{"  xéé"}},
		"in full":     {deadletter.Letter{Value: []byte(strings.Repeat("x", 5000) + "END")}, true, []string{"END\n"}},
		"why":         {deadletter.Letter{Known: true, Reason: schemas.CodeMissingField, Detail: "request_id: is \x07required"}, false, []string{"reason       missing_field\n", "A field that every", `is \arequired`, "to do        Ask the app"}},
		"headers":     {deadletter.Letter{Key: []byte{0xff}, Headers: []schemas.Header{{Key: "a", Value: []byte("b")}, {Key: "c"}}}, false, []string{"key          0xff\n", "headers      a: b\n             c: null\n"}},
		"came back":   {deadletter.Letter{Redrives: 2, From: schemas.Source{Topic: "t", Partition: 1, Offset: 5}}, false, []string{"came back    2 times before", "from         t/1/5"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			document := deadletter.NewDocument(&test.letter)
			if err := printLetter(&b, &test.letter, &document, test.full); err != nil {
				t.Fatal(err)
			}
			for _, part := range test.want {
				if !strings.Contains(b.String(), part) {
					t.Errorf("lacks %q:\n%s", part, b.String())
				}
			}
			if strings.ContainsAny(b.String(), "\x1b\x07\x00") {
				t.Errorf("control characters: %q", b.String())
			}
		})
	}
}
