package deadletter

import (
	"cmp"
	"slices"
	"time"
)

// Filter chooses letters. What is left empty chooses all; a letter must fit everything else. An empty reason, topic or
// stage in a list is that of letters which have none.
type Filter struct {
	Reasons []string  // codes
	Topics  []string  // that the events came from
	Stages  []string  // where the fault was found
	Open    bool      // those only that are not known to have been sent back; the letters come through an Audit then
	Since   time.Time // of the letter's record, inclusive
	Until   time.Time // exclusive
	Key     string
	User    string // id in the event, or its key
	Request string // id in the event
	Places  []Place
}

// Place is where a letter stands in its topic.
type Place struct {
	Partition int
	Offset    int64
}

// compare orders places as they stand in the topic.
func (p Place) compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Partition, q.Partition), cmp.Compare(p.Offset, q.Offset))
}

// Narrow leaves out of spans what the places rule out. Whatever order the places are named in, it returns them in that of
// their topic, each once.
func (f *Filter) Narrow(spans []Span) []Span {
	if len(f.Places) == 0 {
		return spans
	}
	places := slices.SortedFunc(slices.Values(f.Places), Place.compare)
	var narrow []Span
	for _, p := range slices.Compact(places) {
		for _, s := range spans {
			if s.Partition == p.Partition && p.Offset >= s.First && p.Offset < s.End {
				narrow = append(narrow, Span{p.Partition, p.Offset, p.Offset + 1})
			}
		}
	}
	return narrow
}

// isEmpty reports whether all letters are chosen.
func (f *Filter) isEmpty() bool {
	return len(f.Reasons)+len(f.Topics)+len(f.Stages)+len(f.Places) == 0 && !f.Open && f.Since.IsZero() && f.Until.IsZero() &&
		f.Key+f.User+f.Request == ""
}

// Match reports whether a letter is chosen.
func (f *Filter) Match(l *Letter) bool {
	switch {
	case f.Open && l.SentBack,
		len(f.Reasons) > 0 && !slices.Contains(f.Reasons, l.Reason),
		len(f.Topics) > 0 && !slices.Contains(f.Topics, l.From.Topic),
		len(f.Stages) > 0 && !slices.Contains(f.Stages, l.Stage),
		l.At.Before(f.Since), !f.Until.IsZero() && !l.At.Before(f.Until),
		f.Key != "" && string(l.Key) != f.Key,
		len(f.Places) > 0 && !slices.Contains(f.Places, Place{l.Place.Partition, l.Place.Offset}):
		return false
	case f.User == "" && f.Request == "":
		return true
	}
	request, user := l.Sender()
	return (f.User == "" || user == f.User || string(l.Key) == f.User) && (f.Request == "" || request == f.Request)
}
