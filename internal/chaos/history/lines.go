package history

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// line is one line of a kept history; one of its fields is set.
type line struct {
	Run        *Run        `json:"run,omitempty"`
	Note       *Note       `json:"note,omitempty"`
	Log        *Log        `json:"log,omitempty"`
	Gap        *Gap        `json:"gap,omitempty"`
	Commit     *Commit     `json:"commit,omitempty"`
	Progress   *Progress   `json:"progress,omitempty"`
	Published  *Published  `json:"published,omitempty"`
	Decision   *Decision   `json:"decision,omitempty"`
	Outcome    *Outcome    `json:"outcome,omitempty"`
	Profile    *Profile    `json:"profile,omitempty"`
	Popularity *Popularity `json:"popularity,omitempty"`
	Result     *Emitted    `json:"result,omitempty"`
	Raw        *Emission   `json:"raw,omitempty"`
	DeadLetter *Emitted    `json:"dead_letter,omitempty"`
}

// Write writes a history as JSON Lines: {"run": …}, then one object a line, named by what it is.
func (h *History) Write(to io.Writer) error {
	buffer := bufio.NewWriterSize(to, 1<<20)
	enc := json.NewEncoder(buffer)
	enc.SetEscapeHTML(false)
	err := enc.Encode(line{Run: &h.Run})
	err = errors.Join(err,
		each(enc, h.Notes, func(v *Note) line { return line{Note: v} }),
		each(enc, h.Logs, func(v *Log) line { return line{Log: v} }),
		each(enc, h.Gaps, func(v *Gap) line { return line{Gap: v} }),
		each(enc, h.Commits, func(v *Commit) line { return line{Commit: v} }),
		each(enc, h.Progress, func(v *Progress) line { return line{Progress: v} }),
		each(enc, h.Published, func(v *Published) line { return line{Published: v} }),
		each(enc, h.Decisions, func(v *Decision) line { return line{Decision: v} }),
		each(enc, h.Outcomes, func(v *Outcome) line { return line{Outcome: v} }),
		each(enc, h.Profiles, func(v *Profile) line { return line{Profile: v} }),
		each(enc, h.Popularity, func(v *Popularity) line { return line{Popularity: v} }),
		each(enc, h.Results, func(v *Emitted) line { return line{Result: v} }),
		each(enc, h.Raw, func(v *Emission) line { return line{Raw: v} }),
		each(enc, h.DeadLetters, func(v *Emitted) line { return line{DeadLetter: v} }))
	if err = errors.Join(err, buffer.Flush()); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

func each[T any](enc *json.Encoder, list []T, wrap func(*T) line) error {
	for i := range list {
		if err := enc.Encode(wrap(&list[i])); err != nil {
			return err
		}
	}
	return nil
}

// Read reads what Write wrote. Lines may stand in any order.
func Read(from io.Reader) (*History, error) {
	h := new(History)
	dec := json.NewDecoder(bufio.NewReaderSize(from, 1<<20))
	dec.DisallowUnknownFields()
	for n := 1; ; n++ {
		var l line
		err := dec.Decode(&l)
		switch {
		case errors.Is(err, io.EOF) && n > 1:
			return h, nil
		case err != nil:
			return nil, fmt.Errorf("read history: line %d: %w", n, err)
		}
		h.add(&l)
	}
}

func (h *History) add(l *line) {
	if l.Run != nil {
		h.Run = *l.Run
	}
	add(&h.Notes, l.Note)
	add(&h.Logs, l.Log)
	add(&h.Gaps, l.Gap)
	add(&h.Commits, l.Commit)
	add(&h.Progress, l.Progress)
	add(&h.Published, l.Published)
	add(&h.Decisions, l.Decision)
	add(&h.Outcomes, l.Outcome)
	add(&h.Profiles, l.Profile)
	add(&h.Popularity, l.Popularity)
	add(&h.Results, l.Result)
	add(&h.Raw, l.Raw)
	add(&h.DeadLetters, l.DeadLetter)
}

func add[T any](list *[]T, v *T) {
	if v != nil {
		*list = append(*list, *v)
	}
}

// zipped is how the name of a compressed history ends.
const zipped = ".gz"

// WriteFile writes a history to a file, compressed where the name ends in .gz.
func (h *History) WriteFile(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("keep history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if !strings.HasSuffix(path, zipped) {
		return h.Write(f)
	}
	z := gzip.NewWriter(f)
	return errors.Join(h.Write(z), z.Close())
}

// ReadFile reads what WriteFile wrote.
func ReadFile(path string) (*History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	if !strings.HasSuffix(path, zipped) {
		return Read(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return Read(z)
}
