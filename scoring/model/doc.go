// Package model owns the decision whether a model can be trusted, and what is kept with one.
//
// A model is a bundle: a directory with the model file as its trainer wrote it and a manifest that says what
// it is, which features it wants, and what it should predict. Open puts a bundle through gates, from the
// cheapest to the dearest, and returns a model or a *LoadError, whatever the bytes are:
//
//   - the manifest is understood, and the file has its SHA-256;
//   - package forest verifies the file;
//   - the features are declared in the model's order, and can be made (package feature);
//   - the golden rows are predicted as the manifest says;
//   - no made-up row gives a prediction that is not finite, and not all give the same;
//   - where leaves, another evaluator, can read the file, it scores the golden rows and the made-up ones alike.
//
// Store.Build makes a bundle of what a trainer wrote, and compares it with a sample of the trainer's predictions.
// Verify says what became of a model at each gate.
//
// A plain file of LightGBM, XGBoost or ONNX is a model too, if it wants the features of feature.Default.
package model
