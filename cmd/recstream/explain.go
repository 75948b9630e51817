package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/schemas"
)

func newExplainCommand(app *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "explain REQUEST_ID",
		Short:   "Print how a decision came about, from the ledger",
		GroupID: groupAbout,
		Long: `explain prints the stored decision on a request: who was answered by which tier and why not by a better one, what
was not known, with which model and configuration, and for each item its score and the terms that it is the sum of.
base is the tier's own measure: of a model the calibrated prediction.

Reasons, what features contribute to the model's score, and the items that were dropped are there where they were
kept: for requests with explain: true, and beside them as the scoring parameter explain.keep says. Contributions are
in the units of the model's raw score, which of a classifier is the logarithm of the odds.`,
		Example: `  recstream explain f2647703-7aa1-48d7-a9c2-9794be558c84
  recstream publish --id r1 --user ada --mood funny --explain --wait && recstream explain r1
  recstream explain r1 -o json`,
		Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, ladder, err := app.storedDecision(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			shown := describeDecision(d, ladder)
			if format == "json" {
				return printJSON(app.stdout, shown)
			}
			return shown.print(app.stdout)
		},
	}
	outputVar(cmd, &format, "text", "json")
	return cmd
}

// storedDecision returns the decision on a request, and the ladder of tiers that it was made with.
func (a *app) storedDecision(ctx context.Context, requestID string) (d *schemas.Decision, ladder []schemas.Tier, err error) {
	err = a.withDatabase(ctx, func(db *postgres.Database) error {
		if d, err = db.Decision(ctx, requestID); err != nil {
			return withHint(err, migrateHint)
		}
		if d == nil {
			return withHint(fmt.Errorf("the ledger has no decision on request %q", requestID),
				"the id is that of the request event, to the letter; a rejected request has no decision, but a dead letter")
		}
		ladder, err = ladderOf(ctx, db, d.ConfigVersion)
		return err
	})
	return d, ladder, err
}

// ladderOf returns the tiers of the scoring parameters of that version, nil where the database does not have them or this
// program does not understand them any more.
func ladderOf(ctx context.Context, db *postgres.Database, version string) ([]schemas.Tier, error) {
	text, _, err := db.ConfigText(ctx, version)
	if err != nil || text == "" {
		return nil, err
	}
	params, err := config.ParseScoring(version, []byte(text))
	if err != nil {
		return nil, nil //nolint:nilerr // codes go without their tiers then
	}
	return params.Fallback.Tiers, nil
}

// shownDecision is a decision as explain prints it.
type shownDecision struct {
	RequestID     string                    `json:"request_id"`
	RequestedAt   string                    `json:"requested_at,omitempty"`
	ScoredAt      string                    `json:"scored_at"`
	Timings       schemas.Timings           `json:"timings_ms"`
	UserID        string                    `json:"user_id,omitempty"` // "" is anonymous
	Mood          string                    `json:"mood,omitempty"`
	GroupSize     string                    `json:"group_size,omitempty"`
	SessionLength string                    `json:"session_length,omitempty"`
	Tier          schemas.Tier              `json:"tier"`
	Degraded      []leftTier                `json:"degraded"`
	ColdStart     []shownCode               `json:"cold_start"`
	Model         *schemas.ResultModel      `json:"model"`
	Experiment    *schemas.ResultExperiment `json:"experiment,omitempty"`
	Config        string                    `json:"config_version"`
	Catalog       int64                     `json:"catalog_version"`
	Considered    int                       `json:"considered"`
	Source        schemas.ResultSource      `json:"source"`
	Items         []shownItem               `json:"items"`
	Kept          bool                      `json:"explanation_kept"` // reasons, contributions, dropped
	Dropped       []shownDrop               `json:"dropped"`
}

// shownCode is a code with its meaning.
type shownCode struct {
	Code    string `json:"code"`
	Meaning string `json:"meaning"`
}

// shownItem is an item as the result has it, whether or not the result had the explanation.
type shownItem struct {
	schemas.ResultItem
	terms schemas.Terms
}

// leftTier is why a tier was left.
type leftTier struct {
	Tier schemas.Tier `json:"tier,omitempty"` // "" where it is not known, or the code is of no single tier
	shownCode
}

func (l *leftTier) String() string {
	if l.Tier == "" {
		return l.Code + ": " + l.Meaning
	}
	return string(l.Tier) + " left for " + l.Code + ": " + l.Meaning
}

type shownDrop struct {
	schemas.Dropped
	Meaning string `json:"meaning"`
}

// describeDecision describes a decision that was made with that ladder, nil for one that is not known.
func describeDecision(d *schemas.Decision, ladder []schemas.Tier) *shownDecision {
	s := &shownDecision{
		RequestID: d.RequestID, RequestedAt: timeOrNothing(d.RequestedAt), ScoredAt: d.ScoredAt.Format(timeFormat),
		Timings: schemas.Timings{Queue: millis(d.QueueTime), Score: millis(d.ScoreTime)},
		UserID:  d.UserID, Mood: d.Context.Mood.String(), GroupSize: d.Context.GroupSize.String(),
		SessionLength: d.Context.SessionLength.String(), Tier: d.Tier,
		Degraded: describeLeft(d.Degraded, ladder), ColdStart: describeCodes(d.ColdStart),
		Config: d.ConfigVersion, Catalog: d.CatalogVersion, Considered: d.Considered,
		Source: schemas.ResultSource{Topic: d.Source.Topic, Partition: d.Source.Partition, Offset: d.Source.Offset},
		Kept:   d.Explanation != nil, Dropped: []shownDrop{},
	}
	if d.Model != nil {
		s.Model = &schemas.ResultModel{Name: d.Model.Name, Version: d.Model.Version, SHA256: d.Model.SHA256}
	}
	s.Experiment = (*schemas.ResultExperiment)(d.Experiment)
	s.Items = make([]shownItem, len(d.Items))
	for i := range d.Items {
		s.Items[i] = describeItem(d, i)
	}
	if d.Explanation != nil {
		for _, dropped := range d.Explanation.Dropped {
			s.Dropped = append(s.Dropped, shownDrop{dropped, dropped.Reason.Meaning()})
		}
	}
	return s
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// describeCodes adds to each code what it means.
func describeCodes[C interface {
	~string
	Meaning() string
}](codes []C) []shownCode {
	list := make([]shownCode, len(codes))
	for i, c := range codes {
		list[i] = shownCode{string(c), c.Meaning()}
	}
	return list
}

// describeLeft adds to each code its tier: codes are in the order of the ladder. That nothing is eligible is of no tier.
func describeLeft(codes []schemas.Reason, ladder []schemas.Tier) []leftTier {
	list := make([]leftTier, len(codes))
	for i, c := range describeCodes(codes) {
		list[i].shownCode = c
		if i < len(ladder) && codes[i] != schemas.ReasonNoEligibleItems {
			list[i].Tier = ladder[i]
		}
	}
	return list
}

func describeItem(d *schemas.Decision, i int) shownItem {
	it := &d.Items[i]
	item := shownItem{terms: it.Terms, ResultItem: schemas.ResultItem{
		Rank: i + 1, ItemID: it.ItemID, Title: it.Title, Score: it.Score, Pinned: i < d.Pinned,
		Explanation: &schemas.ResultExplanation{Terms: map[string]float64{}},
	}}
	if !math.IsNaN(it.Prediction) {
		item.Prediction = &it.Prediction
	}
	for t, v := range it.Terms {
		if t == schemas.TermBase || v != 0 {
			item.Explanation.Terms[schemas.TermNames[t]] = v
		}
	}
	if d.Explanation != nil && i < len(d.Explanation.Items) {
		item.Reason = d.Explanation.Items[i].Reason
		item.Explanation.Contributions = d.Explanation.Items[i].Contributions
	}
	return item
}
