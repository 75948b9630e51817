//go:build peers

package main

/*
#cgo CFLAGS: -O2 -Wall -Wextra
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "peers.h"
*/
import "C"

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
	"unsafe"
)

// The widths of both languages are the same; else this does not compile.
var (
	_ [requestWidth]struct{} = [C.REQUEST_WIDTH]struct{}{}
	_ [itemWidth]struct{}    = [C.ITEM_WIDTH]struct{}{}
)

// peers are the contenders written in C: those that are found.
func peers(at places) (list []contender, missing []string) {
	if err := openLightGBM(at.lightGBM); err != nil {
		missing = append(missing, peerLightGBM+": "+err.Error())
	} else {
		list = append(list,
			contender{"lightgbm_single", peerLightGBM, "LightGBM, single row fast", true, loadLightGBM(false)},
			contender{"lightgbm_batch", peerLightGBM, "LightGBM, batch", true, loadLightGBM(true)})
	}
	for _, c := range []struct {
		name, about, directory, function string
		score                            compiledScore
	}{
		{peerLleaves, "lleaves (LLVM)", at.lleaves, "forest_root", lleavesScore},
		{peerTL2cgen, "treelite, TL2cgen (gcc -O3)", at.tl2cgen, "predict", tl2cgenScore},
	} {
		if c.directory == "" {
			missing = append(missing, c.name+": not installed")
			continue
		}
		list = append(list, contender{c.name, c.name, c.about, false, loadCompiled(c.directory, c.function, c.score)})
	}
	return list, missing
}

func openLightGBM(library string) error {
	if library == "" {
		return errors.New("not installed")
	}
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	return failure(C.lightgbm_open(path))
}

// failure is the error that a text of C's stands for.
func failure(text *C.char) error {
	if text == nil {
		return nil
	}
	return errors.New(C.GoString(text))
}

// wanted puts a request's arguments into C's struct.
func wanted(w *workload, x []float64, candidates []int32, out []float64) C.candidates {
	return C.candidates{
		request: (*C.double)(&x[0]),
		items:   (*C.double)(&w.items[0]),
		ids:     (*C.int32_t)(&candidates[0]),
		n:       C.int(len(candidates)),
		out:     (*C.double)(&out[0]),
	}
}

// loadLightGBM reads the model with LightGBM's library, to score row by row or all rows at once.
func loadLightGBM(batch bool) func(context.Context, *model, *workload) (*scorer, error) {
	return func(_ context.Context, m *model, w *workload) (*scorer, error) {
		before, started := int64(C.bytes_in_use()), time.Now()
		booster, err := readLightGBM(m)
		if err != nil {
			return nil, err
		}
		s := &scorer{loading: time.Since(started), bytes: int64(C.bytes_in_use()) - before}
		s.close = func() { C.lightgbm_free(booster) }
		rows := make([]float64, maxCandidates*rowWidth)
		s.score = func(x []float64, candidates []int32, out []float64) error {
			if batch {
				return failure(C.lightgbm_batch(booster, wanted(w, x, candidates, out), (*C.double)(&rows[0])))
			}
			return failure(C.lightgbm_single(booster, wanted(w, x, candidates, out)))
		}
		return s, nil
	}
}

func readLightGBM(m *model) (*C.lightgbm, error) {
	path := C.CString(m.path)
	defer C.free(unsafe.Pointer(path))
	booster := new(C.lightgbm)
	text := C.lightgbm_load(booster, path)
	return booster, failure(text)
}

// compiledScore calls a compiled model's function.
type compiledScore func(m *C.compiled, c C.candidates, rows []float64)

func lleavesScore(m *C.compiled, c C.candidates, rows []float64) {
	C.lleaves_score(m, c, (*C.double)(&rows[0]))
}

func tl2cgenScore(m *C.compiled, c C.candidates, _ []float64) { C.tl2cgen_score(m, c) }

// loadCompiled opens the library that the model was compiled to.
func loadCompiled(directory, function string, score compiledScore) func(context.Context, *model, *workload) (*scorer, error) {
	return func(_ context.Context, m *model, w *workload) (*scorer, error) {
		path := filepath.Join(directory, m.name+".so")
		file, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		library, symbol := C.CString(path), C.CString(function)
		defer C.free(unsafe.Pointer(library))
		defer C.free(unsafe.Pointer(symbol))
		started, opened := time.Now(), new(C.compiled)
		if err := failure(C.compiled_open(opened, library, symbol)); err != nil {
			return nil, err
		}
		s := &scorer{loading: time.Since(started), bytes: file.Size()}
		s.close = func() { C.compiled_close(opened) }
		rows := make([]float64, maxCandidates*rowWidth)
		s.score = func(x []float64, candidates []int32, out []float64) error {
			score(opened, wanted(w, x, candidates, out), rows)
			return nil
		}
		return s, nil
	}
}

// loadPeerExplainer explains with LightGBM, row by row; nil where its library is missing.
func loadPeerExplainer(at places, m *model) (explainer, error) {
	if openLightGBM(at.lightGBM) != nil {
		return nil, nil
	}
	booster, err := readLightGBM(m)
	if err != nil {
		return nil, err
	}
	return func(row, out []float64) error {
		return failure(C.lightgbm_explain(booster, (*C.double)(&row[0]), (*C.double)(&out[0])))
	}, nil
}
