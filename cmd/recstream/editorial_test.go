package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

// TestEditorialLife takes lists into a real database, out of it and back.
func TestEditorialLife(t *testing.T) {
	environ := []string{"RECSTREAM_DATABASE_URL=" + startDatabase(t)}
	must := func(stdin string, status int, stdout, stderr string, args ...string) string {
		t.Helper()
		got := recstream(t, environ, stdin, args...)
		if got.status != status || !strings.Contains(got.stdout, stdout) || !strings.Contains(got.stderr, stderr) || stderr == "" && got.stderr != "" {
			t.Fatalf("%v: status %d\n%s%s\nwant %d, %q, %q", args, got.status, got.stdout, got.stderr, status, stdout, stderr)
		}
		return got.stdout
	}
	must("", exitRuntime, "", "run 'recstream migrate up' first", "editorial", "list")
	must("", exitOK, "applied 00006", "", "migrate", "up")
	must("id,title\na,A\nb,B\n", exitOK, "imported 2 items", "", "catalog", "import", "--format", "csv", "-")

	const lists = "- {name: autumn, mood: funny, group_size: couple, starts_at: 2020-01-01, ends_at: 2020-12-01, items: [a, ghost, b, spook]}\n" +
		"- {name: first, priority: 5, session_length: binge, starts_at: 2999-01-01T10:00:00.5Z, items: [b]}\n- {name: always, items: [a]}\n"
	imports := []string{"editorial", "import", "-"}
	must("- name: x\n  mood: happy\n- {}\n", exitRuntime, "", "-: line 2: mood: \"happy\" is none of", imports...)
	must("- name: x\n", exitRuntime, "", "-: line 1: items: is missing\nrecstream: nothing imported: mistakes: 1\nhint: mend them", imports...)
	must("[]", exitRuntime, "", "there is no list in it", imports...)
	must("", exitRuntime, "", "the file is empty", imports...)
	must("", exitRuntime, "", "no such file", "editorial", "import", filepath.Join(t.TempDir(), "none.yaml"))
	must(lists, exitOK, "imported 3 lists from -\n", "list autumn: the catalogue does not have 2 of its 4 items: ghost, spook\n", imports...)

	table := must("", exitOK, "NAME", "", "editorial", "list")
	want := []string{"first all all binge 2999-01-01T10:00:00Z always waiting 5 1", "always all all all always always active 0 1",
		"autumn funny couple all 2020-01-01T00:00:00Z 2020-12-01T00:00:00Z over 0 4"}
	for i, line := range strings.Split(strings.TrimSpace(table), "\n")[1:] {
		if got := strings.Join(strings.Fields(line), " "); got != want[i] {
			t.Errorf("line %d: %s\nwant %s", i, got, want[i])
		}
	}
	saved := must("", exitOK, "2999-01-01T10:00:00.5Z", "", "editorial", "list", "-o", "json")
	must("", exitOK, "list first is removed", "", "editorial", "remove", "first")
	must("", exitRuntime, "", "remove \"first\": there is no such editorial list\nhint: run 'recstream editorial list'", "editorial", "remove", "first")
	must("- {name: other, items: [a]}", exitOK, "imported 1 lists", "", imports...)
	must(saved, exitOK, "removed 1 other lists", "ghost", append(imports, "--replace-all")...)
	if again := must("", exitOK, "", "", "editorial", "list", "-o", "json"); again != saved || !json.Valid([]byte(saved)) {
		t.Errorf("what was saved\n%s\nis imported as\n%s", saved, again)
	}
}

func TestStateOfAnEditorialList(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	soon, lately := now.Add(time.Nanosecond), now.Add(-time.Nanosecond)
	for name, tt := range map[string]struct {
		starts, ends time.Time
		want         string
	}{
		"always": {want: "active"}, "starts": {starts: now, want: "active"}, "waits": {starts: soon, want: "waiting"},
		"lasts": {ends: soon, want: "active"}, "ends": {ends: now, want: "over"}, "within": {lately, soon, "active"},
	} {
		if got := stateAt(&schemas.EditorialList{StartsAt: tt.starts, EndsAt: tt.ends}, now); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
