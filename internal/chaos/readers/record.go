package readers

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Record is a result as a reader saw it.
type Record struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	ID        string `json:"ce_id"`
	RequestID string `json:"request_id"`
	Status    string `json:"status"`
	Key       string `json:"key"`
	SHA256    string `json:"sha256"` // of the value, in hexadecimal digits
}

// String names the record by its place and its id.
func (r Record) String() string { return fmt.Sprintf("%d/%d %s", r.Partition, r.Offset, r.ID) }

// Offsets are one for each partition: of the record to be read next.
type Offsets map[int32]int64

// String writes them as the readers take them: 0:120,1:99.
func (o Offsets) String() string {
	var pairs []string
	for _, p := range slices.Sorted(maps.Keys(o)) {
		pairs = append(pairs, strconv.Itoa(int(p))+":"+strconv.FormatInt(o[p], 10))
	}
	return strings.Join(pairs, ",")
}

// reach returns true if o is at the other offsets or beyond.
func (o Offsets) reach(others Offsets) bool {
	for p, offset := range others {
		if o[p] < offset {
			return false
		}
	}
	return true
}

// after returns the offsets after the last of the records, by partition.
func after(records []Record) Offsets {
	o := Offsets{}
	for _, r := range records {
		o[r.Partition] = max(o[r.Partition], r.Offset+1)
	}
	return o
}

// maxComplaints keeps an error readable: the first ones tell most.
const maxComplaints = 20

// Compare returns nil if a reader got each of the wanted records once, with nothing else and each partition in order,
// in the order of their offsets. Otherwise the error names the records that are missing, repeated, out of order,
// changed, or that should not be there.
func Compare(want, got []Record) error {
	expected := make(map[place]Record, len(want))
	for _, r := range want {
		expected[r.place()] = r
	}
	var errs []error
	seen := make(map[place]bool, len(got))
	last := Offsets{}
	for _, r := range got {
		if err := judge(r, expected, seen, last); err != nil {
			errs = append(errs, err)
		}
		seen[r.place()] = true
		last[r.Partition] = max(last[r.Partition], r.Offset+1)
	}
	for _, r := range want {
		if !seen[r.place()] {
			errs = append(errs, fmt.Errorf("%v is missing", r))
		}
	}
	if more := len(errs) - maxComplaints; more > 0 {
		errs = append(errs[:maxComplaints], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// place is where a record is in its topic.
type place struct {
	partition int32
	offset    int64
}

func (r Record) place() place { return place{r.Partition, r.Offset} }

// judge says what is wrong with a record, given those seen before it and the offsets after them.
func judge(r Record, expected map[place]Record, seen map[place]bool, last Offsets) error {
	want, ok := expected[r.place()]
	switch {
	case !ok:
		return fmt.Errorf("%v is not to be seen", r)
	case seen[r.place()]:
		return fmt.Errorf("%v was read twice", r)
	case r.Offset < last[r.Partition]:
		return fmt.Errorf("%v was read after offset %d", r, last[r.Partition]-1)
	case r != want:
		return fmt.Errorf("%v was read as %+v, and is %+v", r, r, want)
	}
	return nil
}

// inOrder sorts records by partition and offset.
func inOrder(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}
