package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"recstream/internal/postgres"
	"recstream/scoring/feature"
	"recstream/scoring/forest"
	"recstream/scoring/model"
)

// usualItems is the size of the catalogue where nobody says another.
const usualItems = 5000

func newModelShowCommand(m *modelCommand) *cobra.Command {
	var format string
	var items int
	cmd := &cobra.Command{
		Use:   "show MODEL",
		Short: "Print all that is known of a model, and how it would be evaluated",
		Long: `show prints a model's manifest, its trees and its features, and which evaluator serves with it: masks take memory
for each tree and item, as much as model.max_memory allows; quickscorer takes little and is several times slower.`,
		Example: "  recstream model show films@2\n  recstream model show models/films/2 --items 100000 -o json",
		Args:    allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("items") && items < 0 {
				return usagef("--items %d is no number of items", items)
			}
			if !cmd.Flags().Changed("items") {
				items = m.countItems(cmd.Context())
			}
			return m.show(cmd.Context(), args[0], items, format)
		},
	}
	cmd.Flags().IntVar(&items, "items", usualItems, "size of the catalogue to be scored (default: that in the database, else 5000)")
	cmd.Flags().Lookup("items").DefValue = "0" // the description says it
	outputVar(cmd, &format, "text", "json")
	return cmd
}

// countItems returns the size of the catalogue, or what is usual where that cannot be had.
func (m *modelCommand) countItems(ctx context.Context) int {
	n := 0
	err := m.askDatabase(ctx, func(ctx context.Context, db *postgres.Database) (err error) {
		n, err = db.CountItems(ctx)
		return err
	})
	if err != nil || n == 0 {
		return usualItems
	}
	return n
}

// shownModel is a model as show prints it.
type shownModel struct {
	Name          string         `json:"name"`
	Version       string         `json:"version"`
	SHA256        string         `json:"sha256"`
	CreatedAt     string         `json:"created_at,omitempty"`
	Format        string         `json:"format"`
	Objective     string         `json:"objective"`
	Trees         int            `json:"trees"`
	MaxLeaves     int            `json:"max_leaves"`
	Explainable   string         `json:"explainable"` // yes, or why not
	Training      *shownTraining `json:"training,omitempty"`
	ProfileRows   int            `json:"profile_rows"`
	GoldenRows    int            `json:"golden_rows"`
	SecondOpinion string         `json:"second_opinion"`
	Evaluator     shownEvaluator `json:"evaluator"`
	Features      []shownFeature `json:"features"`
}

type shownTraining struct {
	From    string             `json:"from,omitempty"`
	To      string             `json:"to,omitempty"`
	Rows    int                `json:"rows,omitempty"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Source  string             `json:"source,omitempty"`
}

type shownEvaluator struct {
	Method   forest.Method `json:"method"`
	Bytes    int64         `json:"bytes"`
	MaxBytes int           `json:"max_bytes"`
	Items    int           `json:"items"`
}

type shownFeature struct {
	feature.Feature
	Part string `json:"part"` // when it is known
}

func (m *modelCommand) show(ctx context.Context, label string, items int, format string) error {
	cfg, err := m.config()
	if err != nil {
		return err
	}
	opened, err := m.open(label)
	if err != nil {
		return err
	}
	s := describeModel(opened)
	s.Evaluator = shownEvaluator{MaxBytes: cfg.Model.MaxMemory, Items: items}
	if err := s.Evaluator.choose(ctx, opened); err != nil {
		return err
	}
	if format == "json" {
		return printJSON(m.stdout, s)
	}
	return s.print(m.stdout)
}

func describeModel(m *model.Model) *shownModel {
	f := m.Forest()
	s := &shownModel{Name: m.Ref.Name, Version: m.Ref.Version, SHA256: m.Ref.SHA256, Format: string(f.Format()),
		Objective: f.Objective(), Trees: f.NumTrees(), MaxLeaves: f.MaxLeaves(), Explainable: "yes",
		SecondOpinion: m.SecondOpinion().String()}
	if err := f.Explainable(); err != nil {
		s.Explainable = "no: " + err.Error()
	}
	declared := feature.Default().Features
	if manifest := m.Manifest(); manifest != nil {
		declared = manifest.Features
		s.CreatedAt, s.GoldenRows = timeOrNothing(manifest.CreatedAt), len(manifest.Golden)
		if t := manifest.Training; t != nil {
			s.Training = (*shownTraining)(t)
		}
		if manifest.Profile != nil {
			s.ProfileRows = manifest.Profile.Rows
		}
	}
	parts := [...]string{feature.PartRequest: "request", feature.PartItem: "item", feature.PartPair: "pair"}
	for i, p := range m.Features().Parts() {
		s.Features = append(s.Features, shownFeature{declared[i], parts[p]})
	}
	return s
}

// choose prepares the model for made-up items: what that takes does not depend on what they are like.
func (e *shownEvaluator) choose(ctx context.Context, m *model.Model) error {
	parts := make([]forest.Part, m.Forest().NumFeatures())
	var places []int
	for i, p := range m.Features().Parts() {
		parts[i] = forest.Part(p) // their values are alike
		if p == feature.PartItem {
			places = append(places, i)
		}
	}
	random, prober := rand.New(rand.NewPCG(1, 1)), m.Forest().NewProber()
	row, items := make([]float64, len(parts)), make([]float64, 0, e.Items*len(places))
	for range e.Items {
		prober.Row(random, row)
		for _, at := range places {
			items = append(items, row[at])
		}
	}
	evaluator, err := forest.NewEvaluator(ctx, m.Forest(), parts, items, e.Items, forest.Options{MaxBytes: int64(e.MaxBytes)})
	if err != nil {
		return err
	}
	e.Method, e.Bytes = evaluator.Method(), evaluator.Bytes()
	return nil
}

func (s *shownModel) print(w io.Writer) error {
	lines := [][]string{
		{"model", s.Name + "@" + s.Version},
		{"sha256", s.SHA256},
		{"created", s.CreatedAt},
		{"format", s.Format},
		{"objective", s.Objective},
		{"trees", fmt.Sprintf("%d, of up to %d leaves", s.Trees, s.MaxLeaves)},
		{"training", s.Training.String()},
		{"profile", fmt.Sprintf("of %d rows", s.ProfileRows)},
		{"golden rows", strconv.Itoa(s.GoldenRows)},
		{"second opinion", s.SecondOpinion},
		{"explainable", s.Explainable},
		{"evaluator", fmt.Sprintf("%s: %s for %d items; model.max_memory allows %s", s.Evaluator.Method,
			megabytes(s.Evaluator.Bytes), s.Evaluator.Items, megabytes(int64(s.Evaluator.MaxBytes)))},
	}
	var known []string
	for _, l := range lines {
		if l[1] != "" {
			known = append(known, fmt.Sprintf("%-15s %s\n", l[0], l[1]))
		}
	}
	if _, err := io.WriteString(w, strings.Join(known, "")+"\n"); err != nil {
		return err
	}
	rows := make([][]string, len(s.Features))
	for i := range s.Features {
		rows[i] = s.Features[i].cells(i)
	}
	return printTable(w, []string{"#", "FEATURE", "PART", "SOURCE", "KIND", "FIELD", "TRANSFORMS", "MISSING"}, rows)
}

func (t *shownTraining) String() string {
	if t == nil {
		return ""
	}
	var parts []string
	if t.From != "" || t.To != "" {
		parts = append(parts, t.From+" to "+t.To)
	}
	if t.Rows > 0 {
		parts = append(parts, fmt.Sprintf("%d rows", t.Rows))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Metrics)) {
		parts = append(parts, fmt.Sprintf("%s %.4g", name, t.Metrics[name]))
	}
	if t.Source != "" {
		parts = append(parts, t.Source)
	}
	return strings.Join(parts, ", ")
}

func (f *shownFeature) cells(i int) []string {
	field := f.Field
	switch {
	case f.Value != "":
		field += "=" + f.Value
	case f.Aggregate != "":
		field = string(f.Aggregate) + " of " + field
	case f.Buckets > 0:
		field += fmt.Sprintf(" in %d", f.Buckets)
	}
	var transforms []string
	for _, t := range f.Transforms {
		transforms = append(transforms, string(t.Kind))
	}
	missing := string(f.Missing.Policy)
	if missing == "" || f.Missing.Policy == feature.MissingConstant {
		missing = formatValue(f.Missing.Value)
	}
	return []string{strconv.Itoa(i), f.Name, f.Part, string(f.Source), string(f.Kind), field, strings.Join(transforms, ", "), missing}
}
