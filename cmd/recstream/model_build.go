package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/rowfile"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

// maxSampleValues bounds the memory that a sample takes: 256 MiB.
const maxSampleValues = 1 << 25

// predictionColumn is the sample's column of the trainer's predictions.
const predictionColumn = "prediction"

type modelBuild struct {
	features, sample, trainingFile string
	training                       model.Training
	metrics                        []string
}

func newModelBuildCommand(m *modelCommand) *cobra.Command {
	var opts modelBuild
	cmd := &cobra.Command{
		Use:   "build SOURCE NAME@VERSION",
		Short: "Make a bundle of a trained model, and put it into the store",
		Long: `build makes a bundle of SOURCE: a model file of LightGBM (text), XGBoost (JSON, UBJSON) or ONNX, or the directory
of an MLflow model with one of the flavors lightgbm, xgboost and onnx. Nothing is activated by it.

--features is a YAML file with the list features, in the model's order; without it, they are the seventeen of
'recstream features'. --sample is a CSV file of rows of the training data: a header with the features' names, in
any order, and where possible a column prediction with what the trainer's own library predicts for each row (of
a classifier, the probability), in all digits. An empty cell is a missing value. Of the sample are made

  golden rows, which whoever opens the bundle predicts again. With the column prediction the whole sample is
               compared, and a difference refuses the bundle. Without it the golden rows have this program's
               own predictions, which notice later changes but not that the model is read wrongly.
  the profile  of the features and of the predictions: histograms that drift is measured against.

--training is a YAML file with what is to be known of the training: from, to (the data window), rows, metrics
(a map of numbers) and source; flags go over it.

The bundle is put into the store whole, after it has passed every gate, or not at all. Versions never change.`,
		Example: `  recstream model build model.txt films@2 --sample rows.csv --metric auc=0.861 --data-from 2026-07-01 --data-to 2026-08-31
  recstream model build model.ubj films@xgb-1 --features features.yaml --sample rows.csv --training training.yaml
  recstream model build mlruns/1/models/m-3f/artifacts films@3 --sample rows.csv`,
		Args: allArgs,
		RunE: func(_ *cobra.Command, args []string) error { return m.build(args[0], args[1], opts) },
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.features, "features", "", "features of the model, YAML `FILE` (default: the seventeen)")
	flags.StringVar(&opts.sample, "sample", "", "rows of the training data, CSV `FILE`; - is standard input")
	flags.StringVar(&opts.trainingFile, "training", "", "what is to be known of the training, YAML `FILE`")
	flags.StringVar(&opts.training.From, "data-from", "", "begin of the training data, such as 2026-07-01")
	flags.StringVar(&opts.training.To, "data-to", "", "end of the training data")
	flags.IntVar(&opts.training.Rows, "data-rows", 0, "number of rows of the training data")
	flags.StringVar(&opts.training.Source, "source", "", "where the model comes from (default: the MLflow run)")
	flags.StringArrayVar(&opts.metrics, "metric", nil, "a metric of the model as `NAME=NUMBER`; may be repeated")
	return cmd
}

func (m *modelCommand) build(source, label string, opts modelBuild) error {
	name, version, ok := model.SplitName(label)
	if !ok {
		return usagef("%q is no name@version", label)
	}
	if opts.sample == "" {
		return usagef("the rows of the training data are missing; name --sample FILE")
	}
	store, err := m.store()
	if err != nil {
		return err
	}
	spec := model.Spec{Name: name, Version: version, CreatedAt: time.Now(), Source: source, Features: feature.Default()}
	if spec.Training, err = opts.readTraining(); err != nil {
		return err
	}
	if opts.features != "" {
		if spec.Features, err = readDeclaration(opts.features); err != nil {
			return err
		}
	}
	var lines []int
	if spec.Sample, lines, err = m.readSample(opts.sample, spec.Features); err != nil {
		return fmt.Errorf("%s: %w", opts.sample, err)
	}
	built, err := store.Build(spec)
	if row, ok := errors.AsType[*model.RowError](err); ok {
		return fmt.Errorf("%s: line %d: %s", opts.sample, lines[row.Row], row.Detail)
	}
	if err != nil {
		return err
	}
	m.printBuilt(built, len(spec.Sample.Rows))
	return nil
}

func (m *modelCommand) printBuilt(b *model.Built, rows int) {
	manifest, f := b.Model.Manifest(), b.Model.Forest()
	fmt.Fprintf(m.stdout, "built %s@%s in %s: %s, %d trees of up to %d leaves, %d features\n", manifest.Name, manifest.Version,
		b.Dir, f.Format(), f.NumTrees(), f.MaxLeaves(), f.NumFeatures())
	if b.Compared > 0 {
		fmt.Fprintf(m.stdout, "all %d predictions of the sample are the model's, within %.2g (%g is tolerated); %d are golden rows\n",
			b.Compared, b.Worst, b.Tolerance, len(manifest.Golden))
	} else {
		fmt.Fprintf(m.stdout, "NOT COMPARED with its trainer: the sample's %d rows have no column %s, so the %d golden rows have recstream's own predictions\n",
			rows, predictionColumn, len(manifest.Golden))
	}
	fmt.Fprintf(m.stdout, "second opinion: %s\n", b.Model.SecondOpinion())
}

// readSample reads rows in the order of the declared features, and the predictions where they are there, with the
// line of each.
func (a *app) readSample(path string, declared feature.Declaration) (s model.Sample, lines []int, err error) {
	names := make([]string, len(declared.Features))
	for i := range declared.Features {
		names[i] = declared.Features[i].Name
	}
	input, closeInput, err := a.openInput(path)
	if err != nil {
		return s, nil, err
	}
	defer closeInput()
	rows, err := rowfile.NewReader(input, names, rowfile.Options{Optional: []string{predictionColumn}})
	if err != nil {
		return s, nil, err
	}
	if rows.Header() == nil {
		return s, nil, errors.New("the first line must have the features' names")
	}
	if unknown := rows.Unknown(); len(unknown) > 0 {
		return s, nil, fmt.Errorf("the column %q is no feature; leave it out, or mend its name", unknown[0])
	}
	return collect(rows, len(names), hasColumn(rows, names))
}

// hasColumn reports whether there are predictions. A feature of that name takes the column for itself.
func hasColumn(rows *rowfile.Reader, names []string) bool {
	count := 0
	for _, name := range rows.Header() {
		if name == predictionColumn {
			count++
		}
	}
	for _, name := range names {
		if name == predictionColumn {
			count--
		}
	}
	return count > 0
}

func collect(rows *rowfile.Reader, features int, predictions bool) (s model.Sample, lines []int, err error) {
	for {
		row := make([]float64, features+1)
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return s, lines, nil
		case err != nil:
			return s, nil, err
		case len(row)*(len(s.Rows)+1) > maxSampleValues:
			return s, nil, fmt.Errorf("more than %d rows; a random sample of them is enough", len(s.Rows))
		}
		s.Rows, lines = append(s.Rows, row[:features:features]), append(lines, rows.Line())
		if predictions {
			s.Predictions = append(s.Predictions, row[features])
		}
	}
}

// openInput opens a file, or standard input for "-".
func (a *app) openInput(path string) (r io.Reader, done func(), err error) {
	if path == "-" {
		return a.stdin, func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}
