package postgres

import (
	"slices"
	"testing"
	"time"
)

func TestConfigsKeepTheFirstText(t *testing.T) {
	db := newDatabase(t)
	if text, ok, err := db.ConfigText(deadline(t), "v1"); ok || err != nil {
		t.Errorf("before it was saved: %q, %t, %v", text, ok, err)
	}
	must(t, db.SaveConfig(deadline(t), "v1", "# mine\nmax_items: 3\n"))
	must(t, db.SaveConfig(deadline(t), "v2", ""))
	must(t, db.SaveConfig(deadline(t), "v1", "max_items: 3"))
	for version, want := range map[string]string{"v1": "# mine\nmax_items: 3\n", "v2": ""} {
		if text, ok, err := db.ConfigText(deadline(t), version); text != want || !ok || err != nil {
			t.Errorf("%s: %q, %t, %v; want %q", version, text, ok, err, want)
		}
	}
	list, err := db.Configs(deadline(t))
	must(t, err)
	var versions []string
	for _, c := range list {
		versions = append(versions, c.Version)
		if time.Since(c.FirstUsedAt).Abs() > time.Minute || c.FirstUsedAt.Location() != time.UTC {
			t.Errorf("%s was first used at %s", c.Version, c.FirstUsedAt)
		}
	}
	if want := []string{"v2", "v1"}; !slices.Equal(versions, want) {
		t.Errorf("versions %q, want %q", versions, want)
	}
}
