package scoring

import (
	"slices"

	"recstream/schemas"
)

// Redecide decides req once more, as Decide did when it made the stored decision: with the same parameters, catalogue,
// models and profile, dst gets what stored has, to the bit, in all fields that Decide sets.
//
// What was of that moment is taken from stored, and what is of this one counts for nothing and is not changed: there
// is no deadline, no breaker and no watch over drift. The experiment is stored's, and so is whether there is an
// explanation. A tier that stored left for a code of the moment (OfTheMoment) is left for it again without being
// tried, and so is one whose model this engine does not have. Codes go by place: stored.Degraded has them in the order
// of this engine's tiers. To have a tier tried, give it an empty code there.
//
// What the engine remembers is shared with Decide: it comes of what is in its key alone, whoever had it made.
//
// The engine's own parameters and models decide, those of no experiment: an engine for past decisions is given
// what they name, the variant's parameters where there was one. For tier previous_model that is
// Deployment.Previous. New, SetEditorial, Deploy and, last, SetCatalog build all but once.
//
// Errors are those of Decide, and so is what it does without a Begin before it.
func (s *Scorer) Redecide(req *schemas.Request, known *schemas.Profile, stored, dst *schemas.Decision) error {
	if s.state == nil {
		if err := s.Begin(); err != nil {
			return err
		}
		defer s.End()
	}
	return s.decide(s.state.base, stored.Experiment, question{req: req, stored: stored}, known, dst)
}

// OfTheMoment reports whether a tier was left for something that only that moment knew: the clock, the requests
// before, the files that were there, what outcomes and editors had said by then. Other codes come of the request, the
// profile, the parameters, the catalogue and the model, and come again with them.
func OfTheMoment(code schemas.Reason) bool {
	switch code {
	case schemas.ReasonModelMissing, schemas.ReasonModelLoadFailed, schemas.ReasonFeatureMismatch, schemas.ReasonPreviousMissing,
		schemas.ReasonDriftExceeded, schemas.ReasonEvaluatorsDisagree, schemas.ReasonDeadlineExceeded, schemas.ReasonPanic,
		schemas.ReasonCircuitOpen, schemas.ReasonPopularityMissing, schemas.ReasonNoEditorialList:
		return true
	default:
		return false
	}
}

// Gap is a stable code that says what a decision depended on that is not there to make it again.
type Gap string

// The gaps. Gaps finds those that the decision itself tells of, whoever collects what it names finds the others.
const (
	GapPopularity     Gap = "popularity_not_kept"      // what outcomes had said of the items by then
	GapEditorial      Gap = "editorial_not_kept"       // the lists of then
	GapProfileVersion Gap = "profile_version_not_kept" // the decision was stored before versions of profiles were noted
	GapProfile        Gap = "profile_not_kept"         // that version is past its retention, or the user was removed
	GapCatalog        Gap = "catalogue_not_kept"       // the same of the catalogue
	GapConfig         Gap = "config_not_kept"          // the parameters' text is not in the ledger
	GapModel          Gap = "model_not_in_store"       // the bundle is not in the store, or is another one
)

// Gaps says what may keep Redecide from making a stored decision again, whatever it is given, nil for nothing. The
// decision may come out the same all the same.
func Gaps(stored *schemas.Decision) (list []Gap) {
	switch stored.Tier {
	case schemas.TierPopular:
		list = append(list, GapPopularity)
	case schemas.TierEditorial:
		list = append(list, GapEditorial)
	default:
	}
	if stored.ProfileVersion == schemas.ProfileVersionUnknown && stored.UserID != "" {
		list = append(list, GapProfileVersion)
	}
	return list
}

// left returns the code for which a tier is left without being tried, "" where it is to be tried.
func (q *question) left(r *rung, place int) schemas.Reason {
	var then schemas.Reason
	if place < len(q.stored.Degraded) {
		then = q.stored.Degraded[place]
	}
	switch {
	case r.reason == schemas.ReasonSwitchedOff || then == "" || then == schemas.ReasonSwitchedOff || then == schemas.ReasonNoEligibleItems:
		return r.reason // of the parameters, which are this engine's
	case OfTheMoment(then) || r.reason != "":
		return then
	}
	return ""
}

// trouble is what keeps the first tier from being asked at all, "" for nothing. An answer of nothing tells it too.
func (q *question) trouble(first *rung) schemas.Reason {
	if q.stored == nil || !slices.Contains(q.stored.Degraded, schemas.ReasonNoEligibleItems) {
		return first.reason
	}
	if first.reason != schemas.ReasonSwitchedOff && q.stored.Degraded[0] == schemas.ReasonNoEligibleItems {
		return "" // it could be asked then
	}
	return q.left(first, 0)
}

// looksForProfile reports whether somebody looks for the profile of the request's user, who has none.
func (s *Scorer) looksForProfile(q *question) bool {
	if q.stored == nil {
		return s.NeedsProfile(q.req)
	}
	return slices.Contains(q.stored.ColdStart, schemas.ColdUnknownUser) || q.req.ExcludeSeen ||
		s.arm.params.Rank.Weights.Affinity > 0 || s.answering != nil && s.answering.features.NeedsProfile()
}

// explains reports whether the decision is to have an explanation.
func (s *Scorer) explains(q *question) bool {
	if q.stored != nil {
		return q.stored.Explanation != nil
	}
	return s.wantsExplanation(q.req)
}
