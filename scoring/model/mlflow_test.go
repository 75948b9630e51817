package model_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/scoring/model"
)

// What MLflow writes, as far as it matters.
const mlmodel = `artifact_path: model
flavors:
  %s:
    code: null
    data: %s
    model_class: %s
    model_format: ubj
  python_function:
    data: %[2]s
    env:
      conda: conda.yaml
    loader_module: mlflow.%[1]s
mlflow_version: 3.17.2
model_uuid: aa18096ee970457c86bcb21a5474f0f7
run_id: 5d0d9f6c6a5c4f1e
`

// writeMLflow makes an MLflow model's directory of one file.
func writeMLflow(t *testing.T, flavor, file, class string, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Appendf(nil, mlmodel, flavor, file, class)
	for name, content := range map[string][]byte{"MLmodel": text, filepath.Base(file): data} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuildOfMLflowModels(t *testing.T) {
	tests := map[string]struct{ format, name, file, class string }{
		"lightgbm": {"lightgbm", "binary", "model.lgb", "lightgbm.basic.Booster"},
		"xgboost":  {"xgboost", "gamma", "model.ubj", "xgboost.core.Booster"},
		"onnx":     {"onnx", "float-gb-binary", "model.onnx", "null"},
	}
	for flavor, tt := range tests {
		t.Run(flavor, func(t *testing.T) {
			o := oracleModels(t, tt.format)[tt.name]
			dir := writeMLflow(t, flavor, tt.file, tt.class, o.data)
			built, err := model.Store{Dir: t.TempDir()}.Build(model.Spec{Name: "m", Version: "1", Source: dir,
				Features: numbersOf(o.forest), Sample: o.sample})
			if err != nil {
				t.Fatal(err)
			}
			if source := built.Model.Manifest().Training.Source; source != "MLflow run 5d0d9f6c6a5c4f1e" {
				t.Errorf("source %q", source)
			}
		})
	}
}

func TestReadSource(t *testing.T) {
	source, err := model.ReadSource(demoPath)
	if err != nil || source.Run != "" || !bytes.Equal(source.Data, read(t, demoPath)) {
		t.Errorf("run %q, error %v", source.Run, err)
	}
}

func TestReadSourceRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "model.lgb")
	if err := os.WriteFile(outside, []byte("tree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "link.lgb")) }
	none := func(string) error { return nil }
	tests := map[string]struct {
		flavor, file, class string
		prepare             func(dir string) error
		detail              string
	}{
		"no flavor":     {"sklearn", "model.pkl", "", none, "none of the flavors"},
		"object":        {"lightgbm", "model.pkl", "lightgbm.sklearn.LGBMClassifier", none, "log its booster_ instead"},
		"above":         {"lightgbm", "../model.lgb", "", none, "is no file in the directory"},
		"absolute":      {"lightgbm", outside, "", none, "is no file in the directory"},
		"no file named": {"xgboost", `""`, "", none, "is no file in the directory"},
		"link":          {"lightgbm", "link.lgb", "", func(dir string) error { return os.Remove(filepath.Join(dir, "link.lgb")) }, "leads out of the directory"},
		"missing":       {"onnx", "model.onnx", "", func(dir string) error { return os.Remove(filepath.Join(dir, "model.onnx")) }, "no such file"},
		"no YAML": {"onnx", "model.onnx", "", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "MLmodel"), []byte("flavors: ["), 0o600)
		}, "MLmodel: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := writeMLflow(t, tt.flavor, tt.file, tt.class, []byte("tree\n"))
			if err := tt.prepare(dir); err != nil {
				t.Fatal(err)
			}
			if name == "link" {
				if err := link(dir); err != nil {
					t.Fatal(err)
				}
			}
			source, err := model.ReadSource(dir)
			if err == nil || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("source %+v, error %v; want %q", source, err, tt.detail)
			}
		})
	}
}
