package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/scoring/model"
)

// modelLook is how long the database is asked for what a command can do without.
const modelLook = 5 * time.Second

// modelCommand is what the subcommands of model share.
type modelCommand struct {
	*app
	storeFlag string
}

func newModelCommand(app *app) *cobra.Command {
	m := &modelCommand{app: app}
	cmd := &cobra.Command{
		Use:     "model",
		Short:   "Build, check, activate and try models",
		GroupID: groupData,
		Long: `A model is a bundle: a directory with the model file as its trainer wrote it, and manifest.yaml, which says what
it is, which features it wants and what it should predict. The store, model.store, is a directory of bundles,
NAME/VERSION; the database says which of them is active, and all instances follow within seconds.

Where a command takes MODEL, that is NAME@VERSION of the store, or the path of a bundle or a model file; a path
with an "@" in it needs a "/" too, as in ./films@2.`,
		Example: `  recstream model build model.txt films@2 --sample rows.csv
  recstream model activate films@2 --why "trained on August"
  recstream model rollback --why "fewer plays than before"
  recstream model predict model.txt rows.csv`,
	}
	storeVar(cmd.PersistentFlags(), &m.storeFlag)
	cmd.AddCommand(newModelBuildCommand(m), newModelListCommand(m), newModelShowCommand(m), newModelVerifyCommand(m),
		newModelActivateCommand(m), newModelRollbackCommand(m), newModelLogCommand(m),
		newModelPredictCommand(m), newModelExplainCommand(m))
	onlySubcommands(cmd)
	return cmd
}

// storeHint says how to name a store.
const storeHint = "set it, or RECSTREAM_MODEL_STORE, to the directory of the bundles, or add --store DIR"

// storeVar adds the flag that names a store.
func storeVar(flags *pflag.FlagSet, dst *string) {
	flags.StringVar(dst, "store", "", "`DIR` of bundles, instead of model.store")
}

// config returns the settings in force, with the store of --store.
func (m *modelCommand) config() (config.Config, error) {
	cfg, err := m.loadConfig()
	if m.storeFlag != "" {
		cfg.Model.Store, cfg.Model.Path = m.storeFlag, ""
	}
	return cfg, err
}

// store returns the store, which must be named.
func (m *modelCommand) store() (model.Store, error) {
	cfg, err := m.config()
	if err == nil && cfg.Model.Store == "" {
		err = configError(withHint(errors.New("model.store is not set"), storeHint))
	}
	return model.Store{Dir: cfg.Model.Store}, err
}

// path returns where MODEL is.
func (m *modelCommand) path(label string) (string, error) {
	name, version, ok := model.SplitName(label)
	if !ok || strings.ContainsAny(label, `/\`) {
		return label, nil
	}
	store, err := m.store()
	return store.Path(name, version), err
}

// open opens MODEL, which has to pass its gates.
func (m *modelCommand) open(label string) (*model.Model, error) {
	path, err := m.path(label)
	if err != nil {
		return nil, err
	}
	if path != label {
		return m.openStored(label)
	}
	opened, err := model.Load(path)
	return opened, withHint(err, "run 'recstream model verify "+label+"' to see every gate")
}

// openStored opens name@version of the store, which has to pass its gates.
func (m *modelCommand) openStored(label string) (*model.Model, error) {
	store, err := m.store()
	if err != nil {
		return nil, err
	}
	return openBundle(store, label)
}

// errNotStored says that a store lacks a version.
var errNotStored = errors.New("is not in the store")

// openBundle opens name@version of a store, which has to pass its gates.
func openBundle(store model.Store, label string) (*model.Model, error) {
	name, version, ok := model.SplitName(label)
	if !ok {
		return nil, usagef("%q is no name@version", label)
	}
	if _, err := os.Stat(store.Path(name, version)); errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(fmt.Errorf("%s %w %s", label, errNotStored, store.Dir), "run 'recstream model list' to see what is")
	}
	opened, err := store.Open(name, version)
	return opened, withHint(err, "run 'recstream model verify "+label+"' to see every gate")
}

// openPinned opens a bundle that must have that hash; an empty one is any.
func openPinned(store model.Store, label, sha256 string) (*model.Model, error) {
	opened, err := openBundle(store, label)
	if err == nil && sha256 != "" && opened.Ref.SHA256 != sha256 {
		return nil, fmt.Errorf("%s has the SHA-256 %s, not %s, which was chosen", label, opened.Ref.SHA256, sha256)
	}
	return opened, err
}

// askDatabase runs use with the database, for what a command can do without. The error says why that was not had.
func (m *modelCommand) askDatabase(ctx context.Context, use func(context.Context, *postgres.Database) error) error {
	cfg, err := m.config()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, modelLook)
	defer cancel()
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	return use(ctx, db)
}

// megabytes writes a size for people.
func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
