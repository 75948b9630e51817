package deadletter

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// None stands for a reason, a stage or a topic that a letter does not have, where people read it or ask for it.
const None = "(none)"

// stages are where recstream finds faults.
var stages = []string{"decode", "score", "record"}

// UnknownWordError says that a filter asks for what recstream never writes and no letter has: most likely it is misspelt.
type UnknownWordError struct {
	What, Word string   // such as "reason" and "unknownfield"
	Topic      string   // of dead letters
	Found      []string // the words that letters there have instead, sorted
}

// Error names the word, and those that there are.
func (e *UnknownWordError) Error() string {
	text := fmt.Sprintf("no letter in %s has the %s %q, nor does recstream know it", e.Topic, e.What, e.Word)
	if len(e.Found) == 0 {
		return text + "; there are no letters"
	}
	return text + "; there are " + strings.Join(e.Found, ", ")
}

// words are what a filter asks of one header.
type words struct {
	what  string
	asked []string
	of    func(*Letter) string
	found map[string]bool // in the topic
}

// CheckWords returns an *UnknownWordError for a reason, a stage or a topic of a filter that neither recstream writes nor any
// letter has. sources are the topics that events come from. The letters are only read where recstream does not know a
// word: other programs may have written it.
func (t Topic) CheckWords(ctx context.Context, f Filter, sources []string) error {
	var strange []*words
	for _, w := range []struct {
		words
		known []string
	}{
		{words{"reason", f.Reasons, func(l *Letter) string { return l.Reason }, nil}, slices.Collect(maps.Keys(meanings))},
		{words{"stage", f.Stages, func(l *Letter) string { return l.Stage }, nil}, stages},
		{words{"topic", f.Topics, func(l *Letter) string { return l.From.Topic }, nil}, sources},
	} {
		asked := slices.DeleteFunc(slices.Clone(w.asked), func(one string) bool { return one == "" || slices.Contains(w.known, one) })
		if len(asked) > 0 {
			strange = append(strange, &words{w.what, asked, w.of, map[string]bool{}})
		}
	}
	if len(strange) == 0 {
		return nil
	}
	return t.lookForWords(ctx, strange)
}

// lookForWords reads the topic and returns an error for the first word that no letter has.
func (t Topic) lookForWords(ctx context.Context, strange []*words) error {
	spans, err := t.Spans(ctx, time.Time{})
	if err != nil {
		return err
	}
	for _, s := range spans {
		err := t.Read(ctx, s, func(l *Letter) error {
			for _, w := range strange {
				if word := cmp.Or(w.of(l), None); len(w.found) < maxGroups || slices.Contains(w.asked, word) {
					w.found[word] = true
				}
			}
			return nil
		}, nil)
		if err != nil {
			return err
		}
	}
	for _, w := range strange {
		for _, word := range w.asked {
			if !w.found[word] {
				found := slices.Sorted(maps.Keys(w.found))
				return &UnknownWordError{w.what, word, t.Name, found[:min(len(found), maxListed)]}
			}
		}
	}
	return nil
}

// maxListed bounds how many words an error lists.
const maxListed = 20

// Missing returns the places at which the topic has no letter (any more).
func (t Topic) Missing(ctx context.Context, places []Place) (missing []Place, err error) {
	if len(places) == 0 {
		return nil, nil
	}
	spans, err := t.Spans(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	found := map[Place]bool{}
	f := Filter{Places: places}
	for _, s := range f.Narrow(spans) {
		err := t.Read(ctx, s, func(l *Letter) error { found[Place{l.Place.Partition, l.Place.Offset}] = true; return nil }, nil)
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(places), func(p Place) bool { return found[p] }), nil
}
