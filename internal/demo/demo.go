// Package demo carries the demo's catalogue, models and households inside the program. Its folder data says where
// they come from and how to make them anew.
package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Catalog is a catalogue of some 3,200 films, as CSV for package catalogfile.
//
//go:embed data/catalog.csv
var Catalog []byte

// Model is a LightGBM model, trained on the choices of simulated households over that catalogue: films@1.
//
//go:embed data/model.txt
var Model []byte

//go:embed data/films/*/*
var bundles embed.FS

// WriteStore makes a store of the demo's bundles in the directory dir, which it makes if need be: films@1, films@2
// and films@3.
func WriteStore(dir string) error {
	films, err := fs.Sub(bundles, "data")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, films); err != nil {
		return fmt.Errorf("write the demo's models: %w", err)
	}
	// It stands outside of its bundle, and once in the repository: it is also read as a plain file.
	return os.WriteFile(filepath.Join(dir, "films", "1", "model.txt"), Model, 0o600)
}
