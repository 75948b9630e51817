// Package model loads LightGBM models and predicts with them.
//
// It owns the decision whether a model file can be trusted. LightGBM's text format has no checksum, and the
// evaluator behind this package (leaves) does not check what it reads: broken text makes it crash, loop, or
// score wrongly without a word. So the text is first read and verified here, to the byte where its own
// tree_sizes allow that, and the evaluator is given only what was verified. Load and Parse promise:
//
//   - they return a model or a *LoadError, whatever the bytes are; they neither panic nor hang;
//   - a model has the features of package feature, by name and in order, and a binary objective;
//   - a model's predictions are finite for finite features, and not all alike;
//   - a file that was cut short is refused. One cut cannot be told from a whole file: the one that removes
//     exactly the last two lines, which LightGBM's Python package appends and its other writers do not.
//     They do not matter for prediction.
//
// Not supported, and refused: linear trees, categorical splits, random forests (average_output), and
// objectives other than binary.
package model
