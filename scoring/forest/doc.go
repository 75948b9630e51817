// Package forest reads ensembles of decision trees as their trainers wrote them, verifies them, and predicts
// and explains with them exactly as the trainers would.
//
// Parse reads LightGBM's text (v2 to v4), XGBoost's JSON and UBJSON, and the tree ensembles of ONNX. What it
// returns is verified: a Forest cannot loop, cannot read outside of its arrays, and gives finite raw scores.
// What cannot be verified, and what is not understood, is refused with an *Error that names the tree and the
// field; Parse neither panics nor hangs, whatever the bytes are.
//
// All formats come down to one kind of split: a row goes left when its value is at most the threshold, or is
// in a set of categories, and each split knows where a missing value goes. Leaves are numbered from left to
// right, which is what the fast evaluator (Evaluator) rests on.
package forest
