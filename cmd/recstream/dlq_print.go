package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"recstream/internal/deadletter"
)

// shownPayload is how much of a payload is printed unless all is asked for.
const shownPayload = 4 << 10

// printLetter prints a letter for people.
func printLetter(w io.Writer, l *deadletter.Letter, d *deadletter.Document, full bool) error {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, text)
		}
	}
	fmt.Fprintf(&b, "dead letter %s of %s\n", placeText(l.Place), l.Place.Topic)
	line("reason", orNone(l.Reason))
	line("", d.Meaning)
	line("detail", printable(l.Detail))
	line("to do", d.Advice)
	line("stage", printable(l.Stage))
	if d.From != nil {
		line("from", fmt.Sprintf("%s/%d/%d", printable(l.From.Topic), l.From.Partition, l.From.Offset))
	}
	line("given up", stampOf(l.GivenUpAt)+attempts(l.Attempts))
	line("written", stampOf(l.At))
	if l.Redrives > 0 {
		line("came back", times(l.Redrives)+" before")
	}
	for _, r := range d.Redriven {
		line("sent back", redriveLine(&r))
	}
	line("key", bytesText(l.Key))
	for i, h := range l.Headers {
		name := ""
		if i == 0 {
			name = "headers"
		}
		fmt.Fprintf(&b, "%-12s %s: %s\n", name, printable(h.Key), bytesText(h.Value))
	}
	b.WriteString(payload(l, full))
	_, err := io.WriteString(w, b.String())
	return err
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func attempts(n int) string {
	if n < 2 {
		return ""
	}
	return " after " + times(n)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func redriveLine(r *deadletter.DocumentDrive) string {
	text := fmt.Sprintf("%s by %s", r.At.Format(timeFormat), printable(r.By))
	if r.Mended {
		text += ", mended"
	}
	if r.Why != "" {
		text += " (" + printable(r.Why) + ")"
	}
	return text + ": " + r.Outcome
}

// payload is the value in lines of its own.
func payload(l *deadletter.Letter, full bool) string {
	switch {
	case l.Omitted > 0:
		return fmt.Sprintf("%-12s left out, since the topic would not take it: the record has %d bytes. It may still stand where it came from\n", "value", l.Omitted)
	case l.Value == nil:
		return fmt.Sprintf("%-12s null (a tombstone)\n", "value")
	case len(l.Value) == 0:
		return fmt.Sprintf("%-12s empty\n", "value")
	}
	shown := l.Value
	if !full && len(shown) > shownPayload {
		shown = shown[:shownPayload]
	}
	text := fmt.Sprintf("%-12s %d bytes\n", "value", len(l.Value)) + layOut(shown)
	if rest := len(l.Value) - len(shown); rest > 0 {
		text += fmt.Sprintf("  … and %d bytes more; --full prints them\n", rest)
	}
	return text
}

// layOut prints JSON indented, other text as it is, and what is no text as a hex dump.
func layOut(value []byte) string {
	var b bytes.Buffer
	text := string(value)
	if json.Indent(&b, value, "", "  ") == nil {
		text = b.String()
	}
	for cut := len(text); cut > max(0, len(text)-utf8.UTFMax); cut-- { // it may end within a character
		if utf8.ValidString(text[:cut]) {
			var out strings.Builder
			for line := range strings.Lines(text[:cut]) {
				out.WriteString("  " + printable(strings.TrimSuffix(line, "\n")) + "\n")
			}
			return out.String()
		}
	}
	return indented(hex.Dump(value))
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// bytesText is a key or a header's value in one line: text, or hex.
func bytesText(b []byte) string {
	switch {
	case b == nil:
		return "null"
	case !utf8.Valid(b):
		return "0x" + hex.EncodeToString(b)
	}
	return printable(string(b))
}

// printable escapes what could move the cursor or hide text: what others have written comes to a terminal here.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return s
	}
	quoted := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
