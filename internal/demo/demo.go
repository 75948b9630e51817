// Package demo carries the demo's catalogue and model inside the program. Its folder data says where they
// come from and how to make them anew.
package demo

import _ "embed"

// Catalog is a catalogue of some 3,200 films, as CSV for package catalogfile.
//
//go:embed data/catalog.csv
var Catalog []byte

// Model is a LightGBM model, trained on the choices of simulated households over that catalogue.
//
//go:embed data/model.txt
var Model []byte
