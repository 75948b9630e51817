package readers

import (
	"fmt"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	a, b, c := Record{Offset: 3, ID: "a"}, Record{Offset: 5, ID: "b"}, Record{Partition: 1, Offset: 3, ID: "c"}
	changed := b
	changed.SHA256 = "other"
	tests := map[string]struct {
		got  []Record
		says string // "" where all is well
	}{
		"the same":                   {[]Record{a, b, c}, ""},
		"partitions in another turn": {[]Record{c, a, b}, ""},
		"missing":                    {[]Record{a, c}, "0/5 b is missing"},
		"nothing":                    {nil, "1/3 c is missing"},
		"twice":                      {[]Record{a, b, b, c}, "0/5 b was read twice"},
		"again later":                {[]Record{a, b, c, a}, "0/3 a was read twice"},
		"out of order":               {[]Record{b, a, c}, "0/3 a was read after offset 5"},
		"changed":                    {[]Record{a, changed, c}, "0/5 b was read as"},
		"aborted":                    {[]Record{a, {Offset: 4, ID: "x"}, b, c}, "0/4 x is not to be seen"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := Compare([]Record{a, b, c}, test.got)
			if (err == nil) != (test.says == "") || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

func TestCompareIsShort(t *testing.T) {
	err := Compare(make([]Record, 1000), nil)
	if lines := strings.Count(err.Error(), "\n") + 1; lines != maxComplaints+1 || !strings.Contains(err.Error(), "and 980 more") {
		t.Errorf("%d lines: %v", lines, err)
	}
}

func TestOffsets(t *testing.T) {
	got := after([]Record{{Partition: 2, Offset: 7}, {Offset: 1}, {Partition: 2, Offset: 8}})
	if got.String() != "0:2,2:9" {
		t.Errorf("after the records: %v", got)
	}
	tests := map[string]struct {
		others Offsets
		want   bool
	}{
		"the same": {Offsets{0: 2, 2: 9}, true}, "none": {nil, true}, "an empty partition": {Offsets{1: 0}, true},
		"behind": {Offsets{2: 10}, false}, "another partition": {Offsets{1: 1}, false},
	}
	for name, test := range tests {
		if got.reach(test.others) != test.want {
			t.Errorf("%s: %v", name, !test.want)
		}
	}
}
