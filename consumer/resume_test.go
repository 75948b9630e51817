package consumer

import (
	"testing"

	"recstream/schemas"
)

func TestResume(t *testing.T) {
	fence := func(batch, next int64) schemas.Fence { return schemas.Fence{Batch: batch, Next: next} }
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
			position{committed: 10, fence: fence(5, 10), fenced: true, first: 0, last: 12},
			resumption{offset: 10, fence: 10}},
		"killed between store and commit": {
			position{committed: 5, fence: fence(5, 10), fenced: true, first: 0, last: 12},
			resumption{offset: 5, fence: 10}},
		"killed in the first batch": {
			position{committed: -2, fence: fence(0, 10), fenced: true, first: 0, last: 12},
			resumption{offset: 0, fence: 10}},
		"Kafka forgot the group's offset": {
			position{committed: -2, fence: fence(90, 100), fenced: true, first: 0, last: 120},
			resumption{offset: 90, fence: 100}},
		"offsets set back by an operator": {
			position{committed: 20, fence: fence(90, 100), fenced: true, first: 0, last: 120},
			resumption{offset: 20, fence: 100}},
		"offsets set forward by an operator": {
			position{committed: 110, fence: fence(90, 100), fenced: true, first: 0, last: 120},
			resumption{offset: 110, fence: 110, moved: true, note: noteBehind}},
		"retention overtook": {
			position{committed: 50, fence: fence(40, 50), fenced: true, first: 70, last: 120},
			resumption{offset: 70, fence: 70, moved: true, note: noteLost}},
		"topic recreated": {
			position{committed: 50, fence: fence(40, 50), fenced: true, first: 0, last: 8},
			resumption{offset: 0, fence: 0, moved: true, note: noteRecreated}},
		"topic recreated and offsets gone": {
			position{committed: -2, fence: fence(40, 50), fenced: true, first: 0, last: 8},
			resumption{offset: 0, fence: 0, moved: true, note: noteRecreated}},
		"log cut below the fence": {
			position{committed: 8, fence: fence(8, 12), fenced: true, first: 0, last: 10},
			resumption{offset: 8, fence: 8, moved: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := resume(test.in); got != test.want {
				t.Errorf("resume(%+v)\n got %+v\nwant %+v", test.in, got, test.want)
			}
		})
	}
}
