package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// mlflowFile is the name of the file that makes a directory an MLflow model.
const mlflowFile = "MLmodel"

// Source is a model file as its trainer wrote it.
type Source struct {
	Data []byte
	Run  string // the MLflow run that it comes from; "" for a plain file
}

// ReadSource reads a model file, or the one in an MLflow model's directory.
func ReadSource(path string) (*Source, error) {
	run := ""
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if path, run, err = openMLflow(path); err != nil {
			return nil, err
		}
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return &Source{Data: data, Run: run}, nil
}

// mlflowModel is what matters in an MLmodel file: the flavors that have a model file in a known format.
type mlflowModel struct {
	Run     string `yaml:"run_id"`
	Flavors struct {
		LightGBM *mlflowFlavor `yaml:"lightgbm"`
		XGBoost  *mlflowFlavor `yaml:"xgboost"`
		ONNX     *mlflowFlavor `yaml:"onnx"`
	} `yaml:"flavors"`
}

type mlflowFlavor struct {
	Data  string `yaml:"data"` // the file, relative to the directory; its content tells XGBoost's model_format
	Class string `yaml:"model_class"`
}

// openMLflow returns the path of an MLflow model's file, and the run that it comes from.
func openMLflow(dir string) (path, run string, err error) {
	text, err := readFile(filepath.Join(dir, mlflowFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", "", fmt.Errorf("%s has no %s, so it is no MLflow model; name a model file", dir, mlflowFile)
	}
	if err != nil {
		return "", "", err
	}
	var m mlflowModel
	if err := yaml.Unmarshal(text, &m); err != nil {
		return "", "", fmt.Errorf("%s: %s", mlflowFile, yaml.FormatError(err, false, false))
	}
	flavor, err := m.flavor()
	if err == nil {
		path, err = inside(dir, flavor.Data)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", mlflowFile, err)
	}
	return path, m.Run, nil
}

// flavor returns the flavor whose file is to be read. LightGBM's classes for scikit-learn are kept as Python objects.
func (m *mlflowModel) flavor() (*mlflowFlavor, error) {
	switch f := &m.Flavors; {
	case f.LightGBM != nil:
		if ext := filepath.Ext(f.LightGBM.Data); ext == ".pkl" || ext == ".skops" {
			return nil, fmt.Errorf("%s is kept as a Python object; log its booster_ instead", f.LightGBM.Class)
		}
		return f.LightGBM, nil
	case f.XGBoost != nil:
		return f.XGBoost, nil
	case f.ONNX != nil:
		return f.ONNX, nil
	}
	return nil, errors.New("there is none of the flavors lightgbm, xgboost and onnx")
}

// inside returns the path of a directory's file, which must be in it, links followed.
func inside(dir, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("data: %q is no file in the directory", name)
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(root, name))
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(root, path); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("data: %q leads out of the directory", name)
	}
	return path, nil
}
