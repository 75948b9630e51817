package config

import (
	"reflect"
	"strings"
	"testing"

	"recstream/scoring"
)

func TestOverlay(t *testing.T) {
	base := scoring.DefaultParams()
	base.Rules.MoodGenres.Funny = []string{"Comedy", "Music"}
	got, err := Overlay(base, "  max_items: 7\n  rules:\n    mood_genres:\n      funny: [Drama]\n")
	if err != nil {
		t.Fatal(err)
	}
	want := base
	want.MaxItems, want.Rules.MoodGenres.Funny = 7, []string{"Drama"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if base.MaxItems == 7 || base.Rules.MoodGenres.Funny[0] != "Comedy" {
		t.Errorf("the base was changed: %+v", base)
	}
}

func TestOverlayRefuses(t *testing.T) {
	for text, detail := range map[string]string{
		"colour: red": "colour", "max_items: 0": "max_items", "max_items: [": "params", "kafka:\n  group: x": "kafka",
	} {
		if _, err := Overlay(scoring.DefaultParams(), text); err == nil || !strings.Contains(err.Error(), detail) {
			t.Errorf("%q: error %v, want %q in it", text, err, detail)
		}
	}
}
