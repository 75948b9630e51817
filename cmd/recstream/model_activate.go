package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"recstream/internal/postgres"
	"recstream/internal/upkeep"
	"recstream/schemas"
	"recstream/scoring/model"
)

const migrateHint = "if the table is missing, run 'recstream migrate up' first"

func newModelActivateCommand(m *modelCommand) *cobra.Command {
	var c change
	cmd := &cobra.Command{
		Use:   "activate NAME@VERSION",
		Short: "Make a bundle of the store the active model",
		Long: `activate puts a bundle through its gates, and if it passes writes into the database that it is active from now on,
with who did it and why. Instances load it from their own model.store within seconds, after its gates have
passed there too, and drop no request. Where the bundle is missing or refused, the old model serves on.`,
		Example: `  recstream model activate films@2 --why "trained on August"`,
		Args:    allArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return m.activate(cmd.Context(), args[0], c) },
	}
	changeVars(cmd, &c)
	return cmd
}

func newModelRollbackCommand(m *modelCommand) *cobra.Command {
	var c change
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Go back to the model that served before",
		Long: `rollback activates the previous model, if it still passes its gates: the last that served before the active one and
was not left by a rollback. A model has served once an instance has answered requests with it; SERVED in 'recstream
model log' says when. 'recstream model list' marks the previous one. To go anywhere else, activate that version.`,
		Example: `  recstream model rollback --why "fewer plays than before"`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return m.rollback(cmd.Context(), c) },
	}
	changeVars(cmd, &c)
	return cmd
}

func (m *modelCommand) activate(ctx context.Context, label string, c change) error {
	opened, err := m.openStored(label)
	if err != nil {
		return err
	}
	return m.withDatabase(ctx, func(db *postgres.Database) error {
		active, err := db.ActiveModel(ctx)
		if err != nil {
			return withHint(err, migrateHint)
		}
		return m.changeTo(ctx, db, active, opened, postgres.ModelChange{Actor: c.actor, Action: postgres.ActionActivate, Why: c.why})
	})
}

func (m *modelCommand) rollback(ctx context.Context, c change) error {
	return m.withDatabase(ctx, func(db *postgres.Database) error {
		active, err := db.ActiveModel(ctx)
		if err != nil {
			return withHint(err, migrateHint)
		}
		previous, err := db.PreviousModel(ctx)
		if err != nil {
			return err
		}
		if previous == nil {
			return noPrevious(ctx, db, active)
		}
		opened, err := m.openStored(labelOf(previous))
		if err != nil {
			return err
		}
		if opened.Ref.SHA256 != previous.SHA256 {
			return withHint(fmt.Errorf("%s has the SHA-256 %s, but what served had %s", labelOf(previous), opened.Ref.SHA256, previous.SHA256),
				"put the old file back, or activate another version")
		}
		return m.changeTo(ctx, db, active, opened, postgres.ModelChange{Actor: c.actor, Action: postgres.ActionRollback, Why: c.why})
	})
}

// noPrevious says why a rollback has nowhere to go.
func noPrevious(ctx context.Context, db *postgres.Database, active *postgres.ModelChange) error {
	const text = "there is no model to go back to: "
	if active == nil {
		return withHint(errors.New(text+"none was ever activated"), "run 'recstream model activate NAME@VERSION'")
	}
	changes, err := db.ModelChanges(ctx, math.MaxInt32)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if !c.ServedAt.IsZero() && !sameModel(c.To, active.To) {
			return withHint(fmt.Errorf("%s%s, which served before, was itself left by a rollback", text, labelOf(c.To)),
				"run 'recstream model activate "+labelOf(c.To)+"' to use it all the same, or activate another version")
		}
	}
	return withHint(errors.New(text+"none but the active one has served"), "run 'recstream model list', and activate another version")
}

// changeTo makes a model the active one, in place of the one that active, nil for none, made.
func (m *modelCommand) changeTo(ctx context.Context, db *postgres.Database, active *postgres.ModelChange, to *model.Model, c postgres.ModelChange) error {
	from, before := int64(0), "none was"
	if active != nil {
		from, before = active.ID, labelOf(active.To)+" was"
		if sameModel(active.To, &to.Ref) {
			return withHint(fmt.Errorf("%s is the active model already, since %s", labelOf(active.To), active.At.Format(timeFormat)),
				"run 'recstream model log' to see who made it so, and why")
		}
	}
	var err error
	if to.Ref.ID, err = db.RegisterModel(ctx, to.Ref, upkeep.InfoOf(to)); err != nil {
		return err
	}
	c.To = &to.Ref
	if _, err := db.ChangeModel(ctx, from, c); err != nil {
		return withHint(err, "run 'recstream model log' to see by whom, and try again")
	}
	_, err = fmt.Fprintf(m.stdout, "%s is the active model, %s before; instances follow within seconds\n", labelOf(&to.Ref), before)
	return err
}

func sameModel(a, b *schemas.ModelRef) bool {
	return a.Name == b.Name && a.Version == b.Version && a.SHA256 == b.SHA256
}
