package explain

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"recstream/schemas"
)

// noun is what items of a genre are called.
type noun struct{ one, many string }

// nouns are those of genres that are not called by their own name in lower case.
var nouns = map[string]noun{
	"Action":          {"action title", "action"},
	"Adventure":       {"adventure", "adventures"},
	"Comedy":          {"comedy", "comedies"},
	"Crime":           {"crime title", "crime"},
	"Documentary":     {"documentary", "documentaries"},
	"Drama":           {"drama", "dramas"},
	"Family":          {"family title", "family titles"},
	"Foreign":         {"foreign title", "foreign titles"},
	"History":         {"history title", "history"},
	"Horror":          {"horror title", "horror"},
	"Music":           {"music title", "music"},
	"Musical":         {"musical", "musicals"},
	"Mystery":         {"mystery", "mysteries"},
	"Romance":         {"romance", "romances"},
	"Science Fiction": {"science fiction title", "science fiction"},
	"Thriller":        {"thriller", "thrillers"},
	"TV Movie":        {"TV movie", "TV movies"},
	"War":             {"war title", "war titles"},
	"Western":         {"western", "westerns"},
}

// nounOf returns what items of a genre are called; of no genre, nothing.
func nounOf(genre string) noun {
	if n, ok := nouns[genre]; ok {
		return n
	}
	name := strings.ToLower(clean(genre))
	return noun{name, name}
}

// The words of a context, by its values; what is unknown has none.
var (
	moodAdjectives    = [schemas.NumMoods]string{"", "funny ", "action-packed ", "dramatic ", "relaxed "}
	sessionAdjectives = [schemas.NumSessionLengths]string{"", "short ", "medium-length ", ""}
	sessionNouns      = [schemas.NumSessionLengths]string{"session", "session", "session", "binge"}
	companies         = [schemas.NumGroupSizes]string{"", " on your own", " for two", " for a group"}

	audiences   = [schemas.NumGroupSizes]string{"people", "people on their own", "couples", "groups"}
	moodPhrases = [schemas.NumMoods]string{
		"", " in the mood for something funny", " in the mood for action", " in the mood for drama", " in the mood to relax",
	}
	timePhrases = [schemas.NumSessionLengths]string{"", " with little time", " with some time", " with much time"}
)

// maxName is the longest title or name within a reason, in bytes.
const maxName = 48

// clean makes of a name from a catalogue, a manifest or a configuration a piece of a line: valid UTF-8 without
// control characters and line breaks, at most maxName bytes.
func clean(name string) string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	return cut(strings.Join(strings.Fields(line), " "), maxName)
}

const ellipsis = "…"

// cut shortens valid UTF-8 to at most limit bytes, which are more than the ellipsis takes, at a character's border.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit - len(ellipsis)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.TrimRight(s[:end], " ") + ellipsis
}
