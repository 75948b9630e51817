package schemas

import (
	"math"
	"strconv"
)

// AppendResult appends the recommendation.result.v1 event that answers a request with d.
// A prediction that is not finite becomes null; scores and terms are to be finite.
//
// The explanation is there only where d.Explain asks for it and d.Explanation has it; see [MaxContributions] and
// [MaxExplanationText] for what of it a result has room for.
func AppendResult(dst []byte, d *Decision) []byte {
	dst = appendHead(dst, d.RequestID, d.UserID, StatusOK)
	dst = appendText(append(dst, `,"tier":`...), string(d.Tier))
	dst = appendTexts(append(dst, `,"degraded":`...), d.Degraded)
	if len(d.ColdStart) > 0 {
		dst = appendTexts(append(dst, `,"cold_start":`...), d.ColdStart)
	}
	dst = appendModel(append(dst, `,"model":`...), d.Model)
	dst = appendExperiment(dst, d.Experiment)
	dst = appendText(append(dst, `,"config_version":`...), d.ConfigVersion)
	dst = appendItems(append(dst, `,"items":`...), d)
	dst = appendTime(append(dst, `,"scored_at":`...), d.ScoredAt)
	dst = appendMillis(append(dst, `,"timings_ms":{"queue":`...), d.QueueTime)
	dst = appendMillis(append(dst, `,"score":`...), d.ScoreTime)
	dst = appendSource(append(dst, '}'), d.Source)
	return append(dst, '}')
}

// AppendRejection appends the recommendation.result.v1 event that tells an app that the request read from s
// is not answered, and why. It is for rejections that have a request id.
func AppendRejection(dst []byte, r *Rejection, s Source) []byte {
	dst = appendHead(dst, r.RequestID, r.UserID, StatusRejected)
	dst = appendText(append(dst, `,"error":{"code":`...), r.Code)
	dst = appendOptionalText(dst, `,"field":`, r.Field)
	dst = appendText(append(dst, `,"detail":`...), r.Detail)
	dst = appendSource(append(dst, '}'), s)
	return append(dst, '}')
}

// appendHead appends what every result starts with.
func appendHead(dst []byte, request, user string, s Status) []byte {
	dst = appendText(append(dst, `{"request_id":`...), request)
	dst = appendOptionalText(dst, `,"user_id":`, user)
	return appendText(append(dst, `,"status":`...), string(s))
}

func appendModel(dst []byte, m *ModelRef) []byte {
	if m == nil {
		return append(dst, "null"...)
	}
	dst = appendText(append(dst, `{"name":`...), m.Name)
	dst = appendText(append(dst, `,"version":`...), m.Version)
	dst = appendText(append(dst, `,"sha256":`...), m.SHA256)
	return append(dst, '}')
}

// appendExperiment appends the key and the variant, or nothing.
func appendExperiment(dst []byte, e *ExperimentRef) []byte {
	if e == nil {
		return dst
	}
	dst = appendText(append(dst, `,"experiment":{"name":`...), e.Name)
	dst = appendText(append(dst, `,"variant":`...), e.Variant)
	return append(dst, '}')
}

func appendItems(dst []byte, d *Decision) []byte {
	dst = append(dst, '[')
	for i := range d.Items {
		it := &d.Items[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"rank":`...), int64(i+1), 10)
		dst = appendText(append(dst, `,"item_id":`...), it.ItemID)
		dst = appendText(append(dst, `,"title":`...), it.Title)
		dst = appendNumber(append(dst, `,"prediction":`...), it.Prediction)
		dst = appendNumber(append(dst, `,"score":`...), it.Score)
		if i < d.Pinned {
			dst = append(dst, `,"pinned":true`...)
		}
		if d.Explain && d.Explanation != nil && i < len(d.Explanation.Items) {
			dst = appendExplanation(dst, &it.Terms, &d.Explanation.Items[i])
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// AppendRequest appends r as a recommendation.request.v1 event. [DecodeRequest] reads the same request from it,
// if r keeps the limits; times are cut to microseconds, absent fields left out. Mind that no diversity is NaN, not 0.
func AppendRequest(dst []byte, r *Request) []byte {
	dst = appendText(append(dst, `{"request_id":`...), r.RequestID)
	dst = appendOptionalText(dst, `,"user_id":`, r.UserID)
	dst = appendOptionalText(dst, `,"mood":`, r.Mood.String())
	dst = appendOptionalText(dst, `,"group_size":`, r.GroupSize.String())
	dst = appendOptionalText(dst, `,"session_length":`, r.SessionLength.String())
	if r.Limit != 0 {
		dst = strconv.AppendInt(append(dst, `,"limit":`...), int64(r.Limit), 10)
	}
	if r.Candidates != nil {
		dst = appendTexts(append(dst, `,"candidates":`...), r.Candidates)
	}
	dst = appendExclusions(dst, r)
	if len(r.Pins) > 0 {
		dst = appendTexts(append(dst, `,"pins":`...), r.Pins)
	}
	dst = appendOptionalText(dst, `,"similar_to":`, r.SimilarTo)
	if !math.IsNaN(r.Diversity) {
		dst = appendNumber(append(dst, `,"diversity":`...), r.Diversity)
	}
	if r.Explain {
		dst = append(dst, `,"explain":true`...)
	}
	if r.DeadlineMS > 0 {
		dst = strconv.AppendInt(append(dst, `,"deadline_ms":`...), int64(r.DeadlineMS), 10)
	}
	if !r.RequestedAt.IsZero() {
		dst = appendTime(append(dst, `,"requested_at":`...), r.RequestedAt)
	}
	return append(dst, '}')
}

// appendExclusions appends what a request does not want to see.
func appendExclusions(dst []byte, r *Request) []byte {
	if len(r.Exclude) > 0 {
		dst = appendTexts(append(dst, `,"exclude":`...), r.Exclude)
	}
	if r.ExcludeSeen {
		dst = append(dst, `,"exclude_seen":true`...)
	}
	return dst
}

// AppendFeedback appends f as a recommendation.feedback.v1 event. [DecodeFeedback] reads the same feedback from it,
// if f keeps the limits; times are cut to microseconds, absent fields left out.
func AppendFeedback(dst []byte, f *Feedback) []byte {
	dst = appendText(append(dst, `{"request_id":`...), f.RequestID)
	dst = appendOptionalText(dst, `,"user_id":`, f.UserID)
	dst = appendText(append(dst, `,"item_id":`...), f.ItemID)
	dst = appendText(append(dst, `,"action":`...), f.Action.String())
	if !math.IsNaN(f.Value) {
		dst = appendNumber(append(dst, `,"value":`...), f.Value)
	}
	if !f.At.IsZero() {
		dst = appendTime(append(dst, `,"at":`...), f.At)
	}
	return append(dst, '}')
}
