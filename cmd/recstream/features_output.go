package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"strconv"
)

// featureTable is what `recstream features` prints.
type featureTable struct {
	Features []string      `json:"features"`
	Vectors  []namedVector `json:"vectors"`
}

// namedVector is what a model sees of one request and one item.
type namedVector struct {
	RequestID string `json:"request_id"`
	ItemID    string `json:"item_id"`
	Values    vector `json:"values"`
}

// vector has the values in the order of the features, NaN for a missing one.
type vector []float64

// MarshalJSON writes null for NaN, which JSON does not know.
func (v vector) MarshalJSON() ([]byte, error) {
	values := make([]*float64, len(v))
	for i := range v {
		if !math.IsNaN(v[i]) {
			values[i] = &v[i]
		}
	}
	return json.Marshal(values)
}

// print prints a line for each value.
func (t *featureTable) print(w io.Writer) error {
	var rows [][]string
	for _, v := range t.Vectors {
		for i, name := range t.Features {
			rows = append(rows, []string{v.RequestID, v.ItemID, name, formatValue(v.Values[i])})
		}
	}
	return printTable(w, []string{"REQUEST", "ITEM", "FEATURE", "VALUE"}, rows)
}

// printCSV prints a line for each vector, and an empty cell for NaN.
func (t *featureTable) printCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	row := append([]string{"request_id", "item_id"}, t.Features...)
	_ = out.Write(row) // Error tells at the end
	for _, v := range t.Vectors {
		row = append(row[:0], v.RequestID, v.ItemID)
		for _, value := range v.Values {
			cell := ""
			if !math.IsNaN(value) {
				cell = formatValue(value)
			}
			row = append(row, cell)
		}
		_ = out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// formatValue writes as few digits as tell the number from all others.
func formatValue(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
