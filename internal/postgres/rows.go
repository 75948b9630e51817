package postgres

import (
	"encoding/json"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

var copyBuffers = sync.Pool{New: func() any { return new(copyBuffer) }}

// copyDecisions names the columns in the order in which appendDecision writes them.
const copyDecisions = `COPY decisions (run_id, request_id, user_id, mood, group_size, session_length,
	requested_at, scored_at, tier, degraded, model_id, config_version, catalog_version, considered,
	item_ids, titles, predictions, scores, queue_us, score_us, source_topic, source_partition, source_offset,
	experiment, variant, user_features, pair_features, pinned, cold_start, terms, explain, profile_version, explanation)
	FROM STDIN BINARY`

// appendDecision writes a row of a run. It allocates nothing unless there is an explanation; an error says that that one
// cannot be written, and leaves half a row.
func appendDecision(c *copyBuffer, run int32, d *schemas.Decision) error {
	c.row(33)
	c.int4(run)
	c.text(d.RequestID)
	c.textOrNull(d.UserID)
	c.textOrNull(d.Context.Mood.String())
	c.textOrNull(d.Context.GroupSize.String())
	c.textOrNull(d.Context.SessionLength.String())
	c.timestamptz(d.RequestedAt)
	c.timestamptz(d.ScoredAt)
	c.text(string(d.Tier))
	c.array(oidText, len(d.Degraded), false, func(i int) { c.text(string(d.Degraded[i])) })
	if d.Model == nil {
		c.null()
	} else {
		c.int4(d.Model.ID)
	}
	c.text(d.ConfigVersion)
	c.int8(d.CatalogVersion)
	c.int4(int32(d.Considered))
	appendItems(c, d.Items)
	c.int8(d.QueueTime.Microseconds())
	c.int8(d.ScoreTime.Microseconds())
	c.text(d.Source.Topic)
	c.int4(int32(d.Source.Partition))
	c.int8(d.Source.Offset)
	if d.Experiment == nil {
		c.null()
		c.null()
	} else {
		c.text(d.Experiment.Name)
		c.text(d.Experiment.Variant)
	}
	appendFeatures(c, d.UserFeatures)
	appendFeatures(c, d.PairFeatures)
	c.int4(int32(d.Pinned))
	appendColdStart(c, d.ColdStart)
	appendTerms(c, d.Items)
	c.bool(d.Explain)
	if d.ProfileVersion == 0 {
		c.null()
	} else {
		c.int8(d.ProfileVersion)
	}
	return appendExplanation(c, d.Explanation)
}

// appendFeatures writes no features as null, and a missing one as NaN.
func appendFeatures(c *copyBuffer, values []float64) {
	if len(values) == 0 {
		c.null()
		return
	}
	c.array(oidFloat8, len(values), false, func(i int) { c.float8(values[i]) })
}

func appendItems(c *copyBuffer, items []schemas.ScoredItem) {
	hasNull := false
	for i := range items {
		hasNull = hasNull || math.IsNaN(items[i].Prediction)
	}
	c.array(oidText, len(items), false, func(i int) { c.text(items[i].ItemID) })
	c.array(oidText, len(items), false, func(i int) { c.text(items[i].Title) })
	c.array(oidFloat8, len(items), hasNull, func(i int) { c.float8OrNull(items[i].Prediction) })
	c.array(oidFloat8, len(items), false, func(i int) { c.float8(items[i].Score) })
}

// appendColdStart writes no codes as null.
func appendColdStart(c *copyBuffer, codes []schemas.ColdStart) {
	if len(codes) == 0 {
		c.null()
		return
	}
	c.array(oidText, len(codes), false, func(i int) { c.text(string(codes[i])) })
}

// appendTerms writes the items' terms one after the other, or null where readTerms makes the same of the scores.
func appendTerms(c *copyBuffer, items []schemas.ScoredItem) {
	alone := true
	for i := range items {
		alone = alone && isBaseAlone(&items[i])
	}
	if alone {
		c.null()
		return
	}
	c.array(oidFloat8, len(items)*schemas.NumTerms, false, func(i int) {
		c.float8(items[i/schemas.NumTerms].Terms[i%schemas.NumTerms])
	})
}

// isBaseAlone says that the base term is the score and the others are nothing, to the bit.
func isBaseAlone(it *schemas.ScoredItem) bool {
	var others uint64 // -0 has a bit, and is written out as it is
	for _, v := range it.Terms[schemas.TermBase+1:] {
		others |= math.Float64bits(v)
	}
	return others == 0 && math.Float64bits(it.Terms[schemas.TermBase]) == math.Float64bits(it.Score)
}

// readTerms sets the items' terms from a row's, nil for null. A row of a version with fewer terms has the first of them.
func readTerms(items []schemas.ScoredItem, terms []float64) {
	for i := range items {
		if terms == nil {
			items[i].Terms[schemas.TermBase] = items[i].Score
			continue
		}
		each := len(terms) / len(items)
		copy(items[i].Terms[:], terms[i*each:(i+1)*each])
	}
}

func appendExplanation(c *copyBuffer, x *schemas.Explanation) error {
	if x == nil {
		c.null()
		return nil
	}
	text, err := json.Marshal(x)
	if err != nil {
		return &refusedError{"explanation: " + err.Error()}
	}
	c.bytes(text)
	return nil
}

// findDecisions takes the request ids, the run, and the earliest and the latest scored_at. With a look-back shorter than the
// ledger an id can have several rows: the latest comes last.
const findDecisions = `SELECT d.request_id, coalesce(d.user_id, ''), coalesce(d.mood, ''), coalesce(d.group_size, ''),
	coalesce(d.session_length, ''), d.requested_at, d.scored_at, d.tier, d.degraded,
	d.model_id, m.name, m.version, m.sha256, d.config_version, d.catalog_version, d.considered,
	d.item_ids, d.titles, d.predictions, d.scores, d.queue_us, d.score_us,
	d.source_topic, d.source_partition, d.source_offset,
	d.experiment, d.variant, d.user_features, d.pair_features,
	d.pinned, d.cold_start, d.terms, d.explain, coalesce(d.profile_version, 0), d.explanation
	FROM decisions d LEFT JOIN models m ON m.id = d.model_id
	WHERE d.request_id = ANY($1) AND d.run_id = $2 AND d.scored_at >= $3 AND d.scored_at <= $4
	ORDER BY d.scored_at`

func collectDecisions(rows pgx.Rows) (map[string]*schemas.Decision, error) {
	defer rows.Close()
	found := map[string]*schemas.Decision{}
	for rows.Next() {
		d, err := scanDecision(rows)
		if err != nil {
			return nil, err
		}
		found[d.RequestID] = d
	}
	return found, rows.Err()
}

// scanDecision makes of a row the decision that appendDecision wrote, equal in every field.
func scanDecision(rows pgx.Rows) (*schemas.Decision, error) {
	var (
		d                    schemas.Decision
		mood, group, session string
		modelID              *int32
		name, version, sum   *string
		experiment, variant  *string
		ids, titles          []string
		predictions          []*float64
		scores, terms        []float64
		queue, score         int64
	)
	err := rows.Scan(&d.RequestID, &d.UserID, &mood, &group, &session, &d.RequestedAt, &d.ScoredAt, &d.Tier, &d.Degraded,
		&modelID, &name, &version, &sum, &d.ConfigVersion, &d.CatalogVersion, &d.Considered,
		&ids, &titles, &predictions, &scores, &queue, &score,
		&d.Source.Topic, &d.Source.Partition, &d.Source.Offset,
		&experiment, &variant, &d.UserFeatures, &d.PairFeatures,
		&d.Pinned, &d.ColdStart, &terms, &d.Explain, &d.ProfileVersion, &d.Explanation)
	if err != nil {
		return nil, err
	}
	d.Context = parseContext(mood, group, session)
	d.RequestedAt, d.ScoredAt = d.RequestedAt.UTC(), d.ScoredAt.UTC()
	d.QueueTime, d.ScoreTime = time.Duration(queue)*time.Microsecond, time.Duration(score)*time.Microsecond
	if modelID != nil {
		d.Model = &schemas.ModelRef{ID: *modelID, Name: deref(name), Version: deref(version), SHA256: deref(sum)}
	}
	if experiment != nil {
		d.Experiment = &schemas.ExperimentRef{Name: *experiment, Variant: deref(variant)}
	}
	d.Items = make([]schemas.ScoredItem, len(ids))
	for i := range ids {
		d.Items[i] = schemas.ScoredItem{ItemID: ids[i], Title: titles[i], Prediction: nullable(predictions[i]), Score: scores[i]}
	}
	readTerms(d.Items, terms)
	return &d, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// nullable returns NaN for null.
func nullable(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
