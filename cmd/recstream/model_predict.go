package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"recstream/internal/rowfile"
	"recstream/scoring/forest"
	"recstream/scoring/model"
)

// rowsHelp says how rows are given; predict and explain share it.
const rowsHelp = `MODEL is a model file of any supported format, an MLflow model's directory, a bundle, or NAME@VERSION of the
store. ROWS is a CSV file, "-" for standard input, read row by row. An empty cell is a missing value. If the
first line has names it is a header: the model's features in any order, other columns being left out; without a
header, the columns are the features in the model's order. A bundle knows the features' names. A model file that
has none, as of ONNX, or of XGBoost trained on an array, takes no header but f0, f1, … or Column_0, Column_1, …`

func newModelPredictCommand(m *modelCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "predict MODEL ROWS",
		Short: "Print the raw score and the probability of each row of a CSV file",
		Long: `predict prints a line raw,probability for each row, with 17 significant digits, which tell every number from all
others. The raw score is the sum of the trees; of an objective that has no probabilities the second number is
what the objective makes of it. A multiclass model has a pair of columns for each class.

` + rowsHelp,
		Example: `  recstream model predict model.txt rows.csv
  recstream model predict films@2 - < rows.csv > predictions.csv`,
		Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.eachRow(cmd.Context(), args[0], args[1], newPredictor)
		},
	}
}

func newModelExplainCommand(m *modelCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "explain MODEL ROWS",
		Short: "Print what each feature contributes to the score of each row of a CSV file",
		Long: `explain prints for each row the contribution of each feature to the raw score, and last the expected value, with
17 significant digits: path-dependent SHAP values, as LightGBM's pred_contrib and XGBoost's pred_contribs give.
The numbers of a line add up to the raw score. A multiclass model has its classes one after the other. A model
whose file lacks the covers that this takes, as ONNX does, cannot be explained.

` + rowsHelp,
		Example: `  recstream model explain model.txt rows.csv
  recstream model explain films@2 rows.csv | head -2`,
		Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.eachRow(cmd.Context(), args[0], args[1], newContributor)
		},
	}
}

// rowFunc computes what is printed of row x, into out.
type rowFunc func(x, out []float64)

// newPredictor prints pairs of raw score and prediction.
func newPredictor(f *forest.Forest, _ []string) (header []string, compute rowFunc, err error) {
	for i := range f.NumOutputs() {
		header = append(header, classColumn(f, "raw", i), classColumn(f, "probability", i))
	}
	raw, predicted := make([]float64, f.NumOutputs()), make([]float64, f.NumOutputs())
	return header, func(x, out []float64) {
		f.Raw(x, raw)
		copy(predicted, raw)
		f.Transform(predicted)
		for i := range raw {
			out[2*i], out[2*i+1] = raw[i], predicted[i]
		}
	}, nil
}

// newContributor prints contributions.
func newContributor(f *forest.Forest, names []string) (header []string, compute rowFunc, err error) {
	explainer, err := f.NewExplainer()
	if err != nil {
		return nil, nil, fmt.Errorf("this model cannot be explained: %w", err)
	}
	for i := range f.NumOutputs() {
		for _, name := range names {
			header = append(header, classColumn(f, name, i))
		}
		header = append(header, classColumn(f, "expected_value", i))
	}
	return header, explainer.Contributions, nil
}

// classColumn names a column of a class, if there are several.
func classColumn(f *forest.Forest, name string, class int) string {
	if f.NumOutputs() == 1 {
		return name
	}
	return name + "_" + strconv.Itoa(class)
}

// eachRow prints what is computed of each row.
func (m *modelCommand) eachRow(ctx context.Context, label, rowsPath string,
	prepare func(*forest.Forest, []string) ([]string, rowFunc, error)) error {
	f, names, unnamed, err := m.openForest(label)
	if err != nil {
		return err
	}
	header, compute, err := prepare(f, names)
	if err != nil {
		return err
	}
	input, closeInput, err := m.openInput(rowsPath)
	if err != nil {
		return err
	}
	defer closeInput()
	rows, err := rowfile.NewReader(input, names, rowfile.Options{Unnamed: unnamed})
	if err == nil {
		err = printRows(ctx, m.stdout, rows, len(names), header, compute)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", rowsPath, err)
	}
	return nil
}

// openForest returns a model's trees, and its features' names; unnamed says that these are made up. Only a bundle
// has gates to pass.
func (m *modelCommand) openForest(label string) (f *forest.Forest, names []string, unnamed bool, err error) {
	path, err := m.path(label)
	if err != nil {
		return nil, nil, false, err
	}
	if _, err := os.Stat(filepath.Join(path, model.ManifestFile)); err == nil || path != label {
		opened, err := m.open(label)
		if err != nil {
			return nil, nil, false, err
		}
		return opened.Forest(), opened.Features().Names(), false, nil
	}
	source, err := model.ReadSource(path)
	if err != nil {
		return nil, nil, false, err
	}
	if f, err = forest.Parse(source.Data); err != nil {
		return nil, nil, false, fmt.Errorf("%s: %w", path, err)
	}
	names, unnamed = f.Features(), !model.HasNames(f)
	return f, names, unnamed, nil
}

// interruptEvery is after how many rows it is looked whether to stop.
const interruptEvery = 1024

// printRows prints what is computed of each row, up to the first that cannot be read.
func printRows(ctx context.Context, w io.Writer, rows *rowfile.Reader, features int, header []string, compute rowFunc) error {
	out := bufio.NewWriterSize(w, 1<<16)
	err := printHeader(out, header)
	x, values := make([]float64, features), make([]float64, len(header))
	var line []byte
	for n := 0; err == nil; n++ {
		if n%interruptEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err = rows.Next(x); err != nil {
			break
		}
		compute(x, values)
		line = appendRow(line[:0], values)
		_, err = out.Write(line)
	}
	flushed := out.Flush() // what came before an error, too
	if err == nil || errors.Is(err, io.EOF) {
		err = flushed
	}
	return err
}

// appendRow appends a line of numbers with 17 significant digits.
func appendRow(line []byte, values []float64) []byte {
	for i, v := range values {
		if i > 0 {
			line = append(line, ',')
		}
		line = strconv.AppendFloat(line, v, 'g', 17, 64)
	}
	return append(line, '\n')
}

func printHeader(w io.Writer, header []string) error {
	var line strings.Builder
	out := csv.NewWriter(&line)
	_ = out.Write(header) // to memory
	out.Flush()
	_, err := io.WriteString(w, line.String())
	return err
}
