package consumer

import (
	"reflect"
	"testing"

	"recstream/schemas"
)

func TestResume(t *testing.T) {
	tests := map[string]struct {
		in   position
		want resumption
	}{
		"new partition": {
			position{committed: -2, first: 0, last: 10},
			resumption{offset: 0, fence: 0, moved: true}},
		"new group on an old log": {
			position{committed: -2, first: 7, last: 10},
			resumption{offset: 7, fence: 7, moved: true}},
		"stopped cleanly": {
			position{committed: 10, fence: 10, fenced: true, first: 0, last: 12},
			resumption{offset: 10, fence: 10}},
		"killed between store and commit": {
			position{committed: 5, fence: 10, fenced: true, first: 0, last: 12},
			resumption{offset: 5, fence: 10}},
		"killed in the first batch": {
			position{committed: -2, fence: 10, fenced: true, first: 0, last: 12},
			resumption{offset: 0, fence: 10, note: noteForgotten}},
		"Kafka forgot the group's offset, or the topic was recreated and is longer by now": {
			position{committed: -2, fence: 100, fenced: true, first: 0, last: 120},
			resumption{offset: 0, fence: 100, note: noteForgotten}},
		"Kafka forgot the group's offset, and retention overtook": {
			position{committed: -2, fence: 30, fenced: true, first: 50, last: 120},
			resumption{offset: 50, fence: 50, moved: true,
				gaps: []schemas.Gap{{From: 30, To: 50, Reason: schemas.GapRetention}}}},
		"offsets set back by an operator": {
			position{committed: 20, fence: 100, fenced: true, first: 0, last: 120},
			resumption{offset: 20, fence: 100}},
		"offsets set forward by an operator": {
			position{committed: 110, fence: 100, fenced: true, first: 0, last: 120},
			resumption{offset: 110, fence: 110, moved: true,
				gaps: []schemas.Gap{{From: 100, To: 110, Reason: schemas.GapLedgerBehind}}}},
		"retention overtook": {
			position{committed: 50, fence: 50, fenced: true, first: 70, last: 120},
			resumption{offset: 70, fence: 70, moved: true,
				gaps: []schemas.Gap{{From: 50, To: 70, Reason: schemas.GapRetention}}}},
		"retention overtook, and the ledger is older": {
			position{committed: 50, fence: 30, fenced: true, first: 70, last: 120},
			resumption{offset: 70, fence: 70, moved: true,
				gaps: []schemas.Gap{{From: 50, To: 70, Reason: schemas.GapRetention}, {From: 30, To: 50, Reason: schemas.GapLedgerBehind}}}},
		"topic recreated": {
			position{committed: 50, fence: 50, fenced: true, first: 0, last: 8},
			resumption{offset: 0, fence: 0, moved: true, known: 8, note: noteRecreated}},
		"topic recreated and offsets gone": {
			position{committed: -2, fence: 50, fenced: true, first: 0, last: 8},
			resumption{offset: 0, fence: 0, moved: true, known: 8, note: noteForgotten}},
		"log cut by a few records": {
			position{committed: 1000, fence: 1000, fenced: true, first: 0, last: 990},
			resumption{offset: 0, fence: 0, moved: true, known: 990, note: noteRecreated}},
		"log cut below the fence only": {
			position{committed: 8, fence: 12, fenced: true, first: 0, last: 10},
			resumption{offset: 8, fence: 8, moved: true, known: 10, note: noteRecreated}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := resume(test.in); !reflect.DeepEqual(got, test.want) {
				t.Errorf("resume(%+v)\n got %+v\nwant %+v", test.in, got, test.want)
			}
		})
	}
}
