"""Vectors of scikit-learn's models as skl2onnx exports them.

    python onnx_vectors.py OUTDIR           the large ones
    python onnx_vectors.py --small OUTDIR   the ones that are committed

The beginning of a name says what a model is and what it is compared with:

    float-*   for float inputs, which is skl2onnx's default: with ONNX Runtime on one thread
    double-*  for double inputs, with double thresholds and weights: with scikit-learn itself
    mixed-*   for double inputs as skl2onnx writes it, with float weights: with scikit-learn, roughly

skl2onnx has no way to write doubles; as_doubles makes it use the attributes that ai.onnx.ml 3 has for them.
"""

import argparse
import contextlib
import copy

import numpy as np
import onnx
import onnxruntime
import skl2onnx
from onnx import helper, numpy_helper
from skl2onnx.common import _registration
from skl2onnx.common._container import ModelComponentContainer
from sklearn.ensemble import (
    ExtraTreesClassifier, GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier,
    HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor)
from sklearn.tree import DecisionTreeClassifier

from oracle import save

FEATURES = 6
LABELS = {2: np.array(["no", "yes"]), 3: np.array([10, 20, 30])}


def estimators(small):
    """Returns (name, estimator, number of classes, options for skl2onnx, whether NaN is allowed)."""
    n = 8 if small else 150
    gb = {"n_estimators": n, "max_depth": 3, "learning_rate": 0.3}
    hist = {"max_iter": n, "max_leaf_nodes": 8 if small else 31, "min_samples_leaf": 5}
    rf = {"n_estimators": n, "max_depth": 4 if small else 9}
    plain, columns = {"zipmap": False}, {"zipmap": "columns"}
    for estimator, name, classes, options, nan in [
        (GradientBoostingClassifier(**gb), "gb-binary", 2, {}, False),
        (GradientBoostingClassifier(loss="exponential", **gb), "gb-exponential", 2, plain, False),
        (GradientBoostingClassifier(**gb), "gb-multiclass", 3, {}, False),
        (GradientBoostingRegressor(**gb), "gb-regressor", 0, None, False),
        (GradientBoostingRegressor(loss="huber", max_leaf_nodes=6, n_estimators=n), "gb-huber", 0, None, False),
        (HistGradientBoostingClassifier(**hist), "hist-binary", 2, columns, True),
        (HistGradientBoostingClassifier(**hist), "hist-multiclass", 3, plain, True),
        (HistGradientBoostingRegressor(**hist), "hist-regressor", 0, None, True),
        (RandomForestClassifier(**rf), "forest-binary", 2, {}, False),
        (RandomForestClassifier(**rf), "forest-multiclass", 3, columns, False),
        (RandomForestRegressor(**rf), "forest-regressor", 0, None, False),
        (ExtraTreesClassifier(**rf), "extra-trees", 2, plain, False),
        (DecisionTreeClassifier(max_depth=5), "tree", 2, plain, False),
    ]:
        yield name, estimator.set_params(random_state=7), classes, options, nan


def training(classes, nan, rng):
    x = rng.normal(size=(600, FEATURES))
    x[:, 3] = rng.integers(0, 5, 600)
    x[:, 4] = np.round(x[:, 4] * 100, 1)
    z = x[:, 0] + np.sin(3 * x[:, 1]) + 0.5 * x[:, 3] * (x[:, 2] > 0) + 0.3 * rng.normal(size=600)
    if nan:
        x[rng.random(x.shape) < 0.15] = np.nan
    if classes == 0:
        return x, z
    return x, LABELS[classes][np.digitize(z, np.quantile(z, np.linspace(0, 1, classes + 1)[1:-1]))]


def thresholds(ensemble):
    """Returns (feature, threshold) of the splits in the file."""
    a = {x.name: helper.get_attribute_value(x) for x in ensemble.attribute}
    values = a.get("nodes_values")
    if values is None:
        values = numpy_helper.to_array(a["nodes_values_as_tensor"])
    inner = [i for i, mode in enumerate(a["nodes_modes"]) if mode != b"LEAF"]
    return [(a["nodes_featureids"][i], float(values[i])) for i in inner]


def own_thresholds(estimator):
    """Returns (feature, threshold) of the splits as scikit-learn has them."""
    found = []
    for predictor in [p for stage in getattr(estimator, "_predictors", []) for p in stage]:
        found += [(n["feature_idx"], n["num_threshold"]) for n in predictor.nodes if not n["is_leaf"]]
    for tree in np.ravel(getattr(estimator, "estimators_", [])):
        found += list(zip(tree.tree_.feature, tree.tree_.threshold))
    return [(f, t) for f, t in found if f >= 0]


def rows_for(splits, count, nan, infinite, rng):
    """Random rows, with values equal to thresholds and next to them, large ones, and missing ones."""
    x = rng.normal(size=(count, FEATURES)) * rng.choice([1, 2, 30], size=(count, 1))
    x[:, 3] = rng.integers(-1, 6, count)
    step = [lambda v: v, lambda v: np.nextafter(v, np.inf), lambda v: np.nextafter(v, -np.inf),
            lambda v: float(np.nextafter(np.float32(v), np.float32(np.inf))), lambda v: float(np.float32(v))]
    for i in range(0, count, 2):
        for _ in range(3):
            feature, value = splits[rng.integers(len(splits))]
            x[i, feature] = step[rng.integers(len(step))](value)
    odd = [1e30, -1e30, 0.0, -0.0, 1e-40]
    odd += [np.inf, -np.inf] if infinite else []
    odd += [np.nan] * 5 if nan else []
    spots = rng.random(x.shape) < 0.06
    x[spots] = rng.choice(odd, spots.sum())
    return x


def ensemble_of(model):
    return next(n for n in model.graph.node if n.op_type.startswith("TreeEnsemble"))


def raw_model(model):
    """Returns the model with nothing but its ensemble, which gives raw scores."""
    raw = copy.deepcopy(model)
    node = copy.deepcopy(ensemble_of(model))
    for a in node.attribute:
        if a.name == "post_transform":
            a.s = b"NONE"
    del raw.graph.node[:], raw.graph.output[:], raw.graph.initializer[:]
    raw.graph.node.append(node)
    raw.graph.output.append(helper.make_tensor_value_info(node.output[-1], onnx.TensorProto.FLOAT, None))
    return raw


def run(model, rows):
    """Returns what ONNX Runtime gives last, which are scores; of two classes those of the second."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    scores = session.run(None, {session.get_inputs()[0].name: rows.astype(np.float32)})[-1]
    return scores[:, 1] if scores.ndim == 2 and scores.shape[1] == 2 else scores


def export(estimator, x, dtype, options):
    options = None if options is None else {id(estimator): options}
    return skl2onnx.to_onnx(estimator, x[:1].astype(dtype), options=options, target_opset={"": 18, "ai.onnx.ml": 3})


@contextlib.contextmanager
def as_doubles():
    """Lets skl2onnx write arrays of float64 as such."""
    add = ModelComponentContainer.add_node
    keys = ("RandomForestClassifier", "ExtraTreesClassifier", "HistGradientBoostingClassifier")
    converters = [_registration._converter_pool["Sklearn" + key] for key in keys]
    convert = converters[0]._fct  # the same for all three

    def add_node(self, op_type, inputs, outputs, op_domain="", op_version=None, name=None, **attributes):
        if op_type.startswith("TreeEnsemble"):
            op_version = 3
            attributes.pop("nodes_hitrates")
            for key in [k for k, v in attributes.items() if getattr(v, "dtype", None) == np.float64]:
                attributes[key + "_as_tensor"] = numpy_helper.from_array(attributes.pop(key), key)
        return add(self, op_type, inputs, outputs, op_domain, op_version, name, **attributes)

    ModelComponentContainer.add_node = add_node
    for converter in converters:
        converter._fct = lambda scope, operator, container: convert(scope, operator, container, op_version=3)
    try:
        yield
    finally:
        ModelComponentContainer.add_node = add
        for converter in converters:
            converter._fct = convert


def own_scores(estimator, rows, classes):
    """Returns scikit-learn's raw scores and predictions."""
    if classes == 0:
        raw = estimator.predict(rows)
        return raw, raw
    pred = estimator.predict_proba(rows)
    pred = pred[:, 1] if classes == 2 else pred
    return (estimator.decision_function(rows) if hasattr(estimator, "decision_function") else pred), pred


def with_modes(model, mode, aggregate=None):
    """Returns the model with other comparisons, which keep its form but not its sense."""
    changed = copy.deepcopy(model)
    node = ensemble_of(changed)
    for a in node.attribute:
        if a.name == "nodes_modes":
            a.strings[:] = [s if s == b"LEAF" else mode for s in a.strings]
    if aggregate:
        node.attribute.append(helper.make_attribute("aggregate_function", aggregate))
    return changed


def write_float(outdir, name, model, plain, count, rng):
    splits = [(f, t) for f, t in thresholds(ensemble_of(plain)) if np.isfinite(t)]
    rows = rows_for(splits, count, True, True, rng)
    save(outdir, "onnx", "float-" + name, "model.onnx", model.SerializeToString(), rows,
         run(raw_model(plain), rows), run(plain, rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("outdir")
    args = parser.parse_args()
    rng = np.random.default_rng(11)
    count = 60 if args.small else 5000
    for name, estimator, classes, options, nan in estimators(args.small):
        x, y = training(classes, nan, rng)
        estimator.fit(x, y)
        model = export(estimator, x, np.float32, options)
        plain = export(estimator, x, np.float32, {"zipmap": False} if classes else None)
        write_float(args.outdir, name, model, plain, count, rng)
        if name == "gb-regressor":
            for mode in ("BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"):
                other = with_modes(plain, mode.encode())
                write_float(args.outdir, mode[7:].lower(), other, other, count, rng)
        if name == "forest-regressor":
            other = with_modes(plain, b"BRANCH_LEQ", "AVERAGE")
            write_float(args.outdir, "average", other, other, count, rng)
        if name == "tree":
            continue
        splits = [(f, t) for f, t in own_thresholds(estimator) if np.isfinite(t)]
        rows = rows_for(splits, count, nan, nan, rng)
        raw, pred = own_scores(estimator, rows, classes)
        with as_doubles():
            double = export(estimator, x, np.float64, options)
        save(args.outdir, "onnx", "double-" + name, "model.onnx", double.SerializeToString(), rows, raw, pred)
        if name in ("gb-binary", "forest-regressor"):
            mixed = export(estimator, x, np.float64, options)
            save(args.outdir, "onnx", "mixed-" + name, "model.onnx", mixed.SerializeToString(), rows, raw, pred)


if __name__ == "__main__":
    main()
