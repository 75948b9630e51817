package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/postgres"
	"recstream/internal/replay"
)

func newReplayListCommand(app *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the replays, the latest first",
		Long: `list prints each replay with what it tries (as live: it reproduces the live decisions), on which requests (- is all), how
many it reproduced to the byte of those that it compared, the overlap, and whether it is within the limits that it was
started with (- has none, or is not done).`,
		Example: "  recstream replay list\n  recstream replay list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				list, err := db.Replays(cmd.Context())
				if err != nil {
					return withHint(err, migrateHint)
				}
				return printReplays(app.stdout, list, output)
			})
		},
	}
	outputVar(cmd, &output, "table", "json")
	return cmd
}

// listedReplay is a replay as replay list prints it.
type listedReplay struct {
	RunID          int32                `json:"run_id"`
	State          postgres.ReplayState `json:"state"`
	CreatedAt      string               `json:"created_at"`
	StoredAt       string               `json:"stored_at"` // when the last batch was
	CreatedBy      string               `json:"created_by"`
	Why            string               `json:"why"`
	Topic          string               `json:"topic"`
	Plan           *replay.Plan         `json:"plan"`
	Offsets        int64                `json:"offsets"`
	Done           int64                `json:"offsets_done"`
	Compared       int64                `json:"compared"`
	Identical      int64                `json:"identical"`
	Irreproducible int64                `json:"irreproducible"`
	Overlap        replay.Mean          `json:"overlap"`
	Limits         string               `json:"limits,omitempty"`   // kept or exceeded, of a replay that is done and has some
	Exceeded       []string             `json:"exceeded,omitempty"` // in plain words
}

// What Limits says.
const (
	limitsKept     = "kept"
	limitsExceeded = "exceeded"
)

func listed(r *postgres.Replay) (*listedReplay, error) {
	report, err := replay.ReportOf(r)
	if err != nil {
		return nil, err
	}
	var stored time.Time
	for _, p := range r.Partitions {
		if p.UpdatedAt.After(stored) {
			stored = p.UpdatedAt
		}
	}
	l := &listedReplay{RunID: r.RunID, State: r.State, CreatedAt: r.CreatedAt.Format(timeFormat), StoredAt: stored.Format(timeFormat),
		CreatedBy: r.CreatedBy, Why: r.Why, Topic: r.Topic, Plan: report.Plan, Compared: report.Compared, Identical: report.Identical,
		Irreproducible: replay.Sum(report.Irreproducible), Overlap: report.Overlap}
	l.Done, l.Offsets = replay.Progress(r)
	if limits := report.Plan.Limits; limits.Any() && r.State == postgres.ReplayDone {
		l.Limits, l.Exceeded = limitsKept, limits.Exceeded(report)
		if len(l.Exceeded) > 0 {
			l.Limits = limitsExceeded
		}
	}
	return l, nil
}

// row is the replay as a row of the table.
func (l *listedReplay) row() []string {
	return []string{fmt.Sprint(l.RunID), string(l.State), l.CreatedAt, l.StoredAt, fmt.Sprintf("%d/%d", l.Done, l.Offsets),
		briefly(l.Plan), orDash(filterText(&l.Plan.Filter)), fmt.Sprintf("%d/%d", l.Identical, l.Compared), overlap(l.Overlap),
		orDash(l.Limits), l.CreatedBy, l.Why}
}

func printReplays(w io.Writer, list []postgres.Replay, output string) error {
	shown := make([]*listedReplay, len(list))
	rows := make([][]string, len(list))
	for i := range list {
		var err error
		if shown[i], err = listed(&list[i]); err != nil {
			return err
		}
		rows[i] = shown[i].row()
	}
	if output == "json" {
		return printJSON(w, shown)
	}
	return printTable(w, []string{"RUN", "STATE", "CREATED", "STORED", "OFFSETS", "TRIES", "ON", "IDENTICAL", "OVERLAP", "LIMITS", "BY", "WHY"}, rows)
}
