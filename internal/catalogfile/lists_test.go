package catalogfile

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

func TestReadLists(t *testing.T) {
	october := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	full := schemas.EditorialList{Name: "autumn", StartsAt: october, EndsAt: october.AddDate(0, 1, 0).Add(time.Hour), Priority: -10,
		ItemIDs: []string{"heat", "007", "1e3", "true", "a b"},
		Context: schemas.Context{Mood: schemas.MoodRelaxing, GroupSize: schemas.GroupCouple, SessionLength: schemas.SessionShort}}
	plain := schemas.EditorialList{Name: "1917", ItemIDs: []string{"x"}}
	tests := map[string]string{
		"block": `
# curated by hand
- name: autumn
  mood: relaxing
  group_size: couple
  session_length: short
  starts_at: 2026-10-01
  ends_at: 2026-11-01T02:00:00+01:00
  priority: -10
  items:
    - heat
    - 007 # as it is
    - 1e3
    - true
    - "a b"
- items: [x]
  name: 1917
  mood:
  ends_at: ~
`,
		"JSON": `[{"name":"autumn","mood":"relaxing","group_size":"couple","session_length":"short","starts_at":"2026-10-01T00:00:00Z",
			"ends_at":"2026-11-01T01:00:00Z","priority":-10,"items":["heat","007","1e3","true","a b"]},{"name":"1917","items":["x"]}]`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems, err := ReadLists([]byte(text))
			if want := []schemas.EditorialList{full, plain}; err != nil || len(problems) > 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("lists\n got %+v\nwant %+v\nproblems %v, error %v", got, want, problems, err)
			}
		})
	}
}

func TestProblemsOfListsNameLineAndKey(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no name":          {"- mood: funny\n  items: [a]\n", "line 1: name: is missing"},
		"empty name":       {"- items: [a]\n  name:\n", "line 2: name: is missing"},
		"long name":        {"- items: [a]\n  name: " + strings.Repeat("x", 129) + "\n", "line 2: name: has 129 bytes, at most 128 are allowed"},
		"same name":        {"- {name: x, items: [a]}\n- items: [a]\n  name: x\n", `line 3: name: "x" stands in line 1 already`},
		"no items":         {"- {name: y, items: [a]}\n- name: x\n", "line 2: items: is missing"},
		"empty items":      {"- name: x\n  items: []\n", "line 2: items: is no list of item ids, such as [heat-1995, alien-1979]"},
		"items are a text": {"- name: x\n  items: a\n", "line 2: items: is no list of item ids, such as [heat-1995, alien-1979]"},
		"empty item":       {"- name: x\n  items:\n  - a\n  -\n  - b\n", "line 4: items: an entry is missing"},
		"item of items":    {"- name: x\n  items:\n  - a\n  - [b]\n", "line 4: items: an entry is no single value"},
		"same item":        {"- name: x\n  items:\n  - a\n  - b\n  - a\n", `line 5: items: "a" stands in line 3 already`},
		"mood":             {"- name: x\n  mood: happy\n  items: [a]\n", `line 2: mood: "happy" is none of funny, action, dramatic, relaxing`},
		"company":          {"- name: x\n  items: [a]\n  group_size: dog\n", `line 3: group_size: "dog" is none of solo, couple, group`},
		"session":          {"- name: x\n  items: [a]\n  session_length: {}\n", "line 3: session_length: is no single value"},
		"time":             {"- name: x\n  items: [a]\n  ends_at: tomorrow\n", `line 3: ends_at: "tomorrow" is neither a day such as 2026-01-31 nor an RFC 3339 time such as 2026-01-31T20:15:00Z`},
		"order of times":   {"- name: x\n  items: [a]\n  ends_at: 2026-01-01\n  starts_at: 2026-01-01\n  priority: 2\n", "line 4: starts_at: the list ends before it starts"},
		"priority":         {"- name: x\n  items: [a]\n  priority: 1.5\n", `line 3: priority: "1.5" is not a whole number from -2147483648 to 2147483647`},
		"large priority":   {"- name: x\n  items: [a]\n  priority: 3000000000\n", `line 3: priority: "3000000000" is not a whole number from -2147483648 to 2147483647`},
		"unknown key":      {"- name: x\n  items: [a]\n  state: on\n", "line 3: state: is not known; the keys are name, mood, group_size, session_length, starts_at, ends_at, priority, items"},
		"a number":         {"- {name: x, items: [a]}\n- 3\n", "line 2: is no list: it begins with '- name: …'"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems, err := ReadLists([]byte(test.text))
			if err != nil || len(problems) != 1 || problems[0].Error() != test.want {
				t.Errorf("problems %v, error %v; want %s", problems, err, test.want)
			}
		})
	}
}

func TestEveryProblemOfListsIsTold(t *testing.T) {
	lists, problems, err := ReadLists([]byte("- name: bad\n  mood: x\n  priority: y\n- name: good\n  items: [a]\n- nam: z\n"))
	if err != nil || len(problems) != 6 || len(lists) != 1 || lists[0].Name != "good" {
		t.Errorf("lists %+v, problems %q, error %v; want one list and 6 problems", lists, problems, err)
	}
}

func TestFilesThatHoldNoLists(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"empty":         {"", "the file is empty"},
		"a comment":     {"# nothing yet\n", "the file is empty"},
		"a mapping":     {"\nname: x\nitems: [a]\n", "line 2: is no list of lists"},
		"two documents": {"- {name: x, items: [a]}\n---\n- {name: y, items: [a]}\n", "line 3: a second document begins"},
		"not closed":    {"- name: [\n", "[1:9]"},
		"key twice":     {"- name: x\n  name: y\n", "[2:3]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := ReadLists([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func FuzzReadLists(f *testing.F) {
	f.Add([]byte("- name: x\n  mood: funny\n  items: [a, b]\n  ends_at: 2026-01-01\n"))
	f.Add([]byte(`[{"name":"x","items":["a"]}]`))
	f.Add([]byte("- &a {name: x, items: *a}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lists, _, _ := ReadLists(text)
		for _, l := range lists {
			if l.Name == "" || len(l.ItemIDs) == 0 || !l.EndsAt.IsZero() && !l.EndsAt.After(l.StartsAt) {
				t.Errorf("accepted %+v", l)
			}
		}
	})
}
