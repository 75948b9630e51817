package catalogfile

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"recstream/schemas"
)

// record is an item as files have it; nil is missing.
type record struct {
	ID          string     `json:"id"`
	Title       string     `json:"title"`
	Genres      []string   `json:"genres"`
	DurationMin *float64   `json:"duration_min"`
	Year        *int       `json:"year"`
	Popularity  *float64   `json:"popularity"`
	AddedAt     *time.Time `json:"added_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	Hidden      bool       `json:"hidden"`
	Suitability []string   `json:"suitability"`
	Franchise   string     `json:"franchise"`
	Tags        []string   `json:"tags"`
}

// set sets a field from a CSV cell.
func (r *record) set(column, cell string) (err error) {
	switch column {
	case "id":
		r.ID = cell
	case "title":
		r.Title = cell
	case "franchise":
		r.Franchise = cell
	case "genres":
		r.Genres = strings.Split(cell, "|")
	case "suitability":
		r.Suitability = strings.Split(cell, "|")
	case "tags":
		r.Tags = strings.Split(cell, "|")
	case "duration_min":
		r.DurationMin, err = number(cell)
	case "popularity":
		r.Popularity, err = number(cell)
	case "year":
		r.Year, err = year(cell)
	case "added_at":
		r.AddedAt, err = instant(cell)
	case "expires_at":
		r.ExpiresAt, err = instant(cell)
	case "hidden":
		r.Hidden, err = flag(cell)
	}
	return err
}

func number(cell string) (*float64, error) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number", cell)
	}
	return &v, nil
}

func year(cell string) (*int, error) {
	v, err := strconv.Atoi(cell)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", cell)
	}
	return &v, nil
}

func instant(cell string) (*time.Time, error) {
	t, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		return nil, fmt.Errorf("%q is not an RFC 3339 time such as 2026-01-31T20:15:00Z", cell)
	}
	return &t, nil
}

func flag(cell string) (bool, error) {
	switch cell {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", cell)
}

// item checks the record and makes an item of it. The error goes with the field at fault.
func (r *record) item() (it schemas.Item, field string, err error) {
	for _, check := range []struct {
		field string
		err   error
	}{
		{"id", checkText(r.ID, schemas.MaxIDBytes, true)},
		{"title", checkText(r.Title, 1000, true)},
		{"franchise", checkText(r.Franchise, 1000, false)},
		{"genres", checkTexts(r.Genres)},
		{"tags", checkTexts(r.Tags)},
		{"duration_min", checkNumber(r.DurationMin)},
		{"popularity", checkNumber(r.Popularity)},
		{"year", checkYear(r.Year)},
	} {
		if check.err != nil {
			return it, check.field, check.err
		}
	}
	it = schemas.Item{ID: r.ID, Title: r.Title, Genres: r.Genres, Hidden: r.Hidden, Franchise: r.Franchise, Tags: r.Tags,
		DurationMin: value(r.DurationMin), Popularity: value(r.Popularity),
		AddedAt: value(r.AddedAt), ExpiresAt: value(r.ExpiresAt), Year: float64(value(r.Year))}
	for _, name := range r.Suitability {
		g, ok := schemas.ParseGroupSize(name)
		if !ok || g == schemas.GroupUnknown {
			return it, "suitability", fmt.Errorf("%q is none of solo, couple, group", name)
		}
		it.Suitability = append(it.Suitability, g)
	}
	return it, "", nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func checkText(s string, limit int, required bool) error {
	switch {
	case s == "" && required:
		return errors.New("is missing")
	case len(s) > limit:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(s), limit)
	case !utf8.ValidString(s):
		return errors.New("is not valid UTF-8")
	case strings.ContainsRune(s, 0):
		return errors.New("has a NUL character")
	}
	return nil
}

func checkTexts(list []string) error {
	for _, s := range list {
		if err := checkText(s, 200, true); err != nil {
			return fmt.Errorf("an entry %w", err)
		}
	}
	return nil
}

func checkNumber(v *float64) error {
	if v != nil && (*v < 0 || math.IsNaN(*v) || math.IsInf(*v, 0)) {
		return fmt.Errorf("%v is not a number from 0 up", *v)
	}
	return nil
}

func checkYear(v *int) error {
	if v != nil && (*v < 1 || *v > 9999) {
		return fmt.Errorf("%d is not a year from 1 to 9999", *v)
	}
	return nil
}
