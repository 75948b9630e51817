package main

import (
	"context"
	"errors"
	"fmt"

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
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return m.activate(cmd.Context(), args[0], c) },
	}
	changeVars(cmd, &c)
	return cmd
}

func newModelRollbackCommand(m *modelCommand) *cobra.Command {
	var c change
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Go back to the model that served well before",
		Long: `rollback activates the last model that instances had in force before the active one, if it still passes its gates.
'recstream model list' calls it previous. To go anywhere else, activate that version.`,
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
			return withHint(errors.New("there is no model to go back to: none but the active one has served"),
				"run 'recstream model list', and activate another version")
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

// openStored opens name@version of the store, which has to pass its gates.
func (m *modelCommand) openStored(label string) (*model.Model, error) {
	name, version, ok := model.SplitName(label)
	if !ok {
		return nil, usagef("%q is no name@version", label)
	}
	store, err := m.store()
	if err != nil {
		return nil, err
	}
	opened, err := store.Open(name, version)
	return opened, withHint(err, "run 'recstream model verify "+label+"' to see every gate; nothing was changed")
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
