package schemas

// The codes of decisions in plain words, one line each, for command lines and pages. Readers of events go by the
// codes: the words may change.

// Meaning says how the tier ranks, "" for one that is unknown.
func (t Tier) Meaning() string { return tierMeanings[t] }

// Meaning says why a tier was left, "" for a code that is unknown.
func (r Reason) Meaning() string { return reasonMeanings[r] }

// Meaning says what was not known and what that changes, "" for a code that is unknown.
func (c ColdStart) Meaning() string { return coldStartMeanings[c] }

// Meaning says why an item was dropped, "" for a code that is unknown.
func (c DropCode) Meaning() string { return dropMeanings[c] }

var tierMeanings = map[Tier]string{
	TierModel:     "ranked by the model's prediction",
	TierPrevious:  "ranked by the prediction of the last model that served before this one",
	TierSimilar:   "ranked by similarity to what the user chose before, or to the item that the request names",
	TierPopular:   "ranked by popularity within the context",
	TierEditorial: "in the order of a list that people made",
	TierBasic:     "the first eligible items, in the catalogue's order",
}

var reasonMeanings = map[Reason]string{
	ReasonModelMissing:       "there is no model where the configuration points",
	ReasonModelLoadFailed:    "the model is there, and did not pass the gates of loading",
	ReasonFeatureMismatch:    "the model wants features that cannot be made",
	ReasonPreviousMissing:    "no other model served before, or its bundle cannot be had",
	ReasonNonFiniteScore:     "a score was not a finite number",
	ReasonConstantScores:     "all of many candidates had the same score",
	ReasonDriftExceeded:      "the predictions of late are far from those of the training",
	ReasonMissingFeatures:    "too much of what the model wants to know was missing",
	ReasonEvaluatorsDisagree: "two ways to evaluate the model gave two scores",
	ReasonDeadlineExceeded:   "there was no time left before the deadline",
	ReasonPanic:              "the tier's code panicked, and was stopped",
	ReasonCircuitOpen:        "the tier failed too often of late, and rests before it is tried again",
	ReasonSwitchedOff:        "an operator has switched the tier off",
	ReasonNoHistory:          "there was nothing to be similar to: no history, and no item that the request names",
	ReasonPopularityMissing:  "no candidate has a popularity",
	ReasonNoEditorialList:    "no list for this context and time has an eligible item",
	ReasonNoEligibleItems:    "no item passed the filter, so the answer is empty",
}

var coldStartMeanings = map[ColdStart]string{
	ColdAnonymousUser: "the request names no user: the moment alone counts, features of the user are missing, affinity is 0",
	ColdUnknownUser:   "nothing is known of the user yet: the moment counts, features of the user are missing, affinity is 0",
	ColdEmptyContext:  "neither mood, company nor time was given: any item may be chosen, by the popularity of all contexts",
	ColdNewItem:       "an item of the answer is too new for anybody to have seen it: what it is and its age count",
}

var dropMeanings = map[DropCode]string{
	DropBelowLimit:    "others score higher",
	DropCapGenre:      "enough items with one of its genres come before it",
	DropCapFranchise:  "enough items of its franchise come before it",
	DropCapYear:       "enough items of its years come before it",
	DropNearIdentical: "almost the same item comes before it on the first page",
	DropExcluded:      "the request excludes it",
	DropSeen:          "the user has seen it, and the request excludes what was seen",
	DropHidden:        "it is hidden in the catalogue",
	DropExpired:       "it has expired",
	DropUnknown:       "the catalogue has no such item",
}
