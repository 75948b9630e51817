package forest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// An XGBoost model is one document, in JSON or UBJSON, that both readers turn into the same object; from there
// on the formats are one. Its layout, as versions 1.1 to 3.2 write it (3.4 keeps weight_drop in the model):
//
//	learner.feature_names                        may be missing or empty
//	learner.learner_model_param.{num_feature, num_class, num_target, base_score}, all strings
//	learner.objective.name
//	learner.gradient_booster.{name, model}       or {name: dart, gbtree: {model}, weight_drop}
//	model.{gbtree_model_param, trees, tree_info} tree_info: the output that each tree adds to
//
// What is scored is what Booster.predict scores, all trees. XGBoost's scikit-learn classes stop after
// best_iteration where training stopped early: slice such a model before saving it, bst[:best_iteration+1].
//
// A category is the number that the trainer saw. Models that were trained on data frames carry the names of
// the categories too (model.cats): a name's number is its position there, and rows must hold that number.

// buildXGBoost makes a forest of an XGBoost document.
func buildXGBoost(document any) (*Forest, error) {
	members, ok := document.(map[string]any)
	if !ok {
		return nil, fault("", "the document is no object")
	}
	learner, err := object{members: members}.object("learner")
	if err != nil {
		return nil, err
	}
	f := &Forest{divisor: 1, numbers: numbers{singleInputs: true, singleSums: true}}
	if err := f.readXGBoostHead(learner); err != nil {
		return nil, err
	}
	model, weights, err := xgboostBooster(learner)
	if err != nil {
		return nil, err
	}
	if err := f.readXGBoostTrees(model, weights); err != nil {
		return nil, err
	}
	return f, nil
}

// readXGBoostHead reads all but the trees.
func (f *Forest) readXGBoostHead(learner object) error {
	param, err := learner.object("learner_model_param")
	if err != nil {
		return err
	}
	if f.features, err = xgboostFeatures(learner, param); err != nil {
		return err
	}
	objective, err := learner.object("objective")
	if err != nil {
		return err
	}
	if f.objective, err = objective.text("name"); err != nil {
		return err
	}
	known, ok := xgboostObjectives[f.objective]
	if !ok {
		return objective.fault("name", "the objective %q is not supported", f.objective)
	}
	f.link = link{kind: known.link, scale: 1}
	if f.outputs, err = xgboostOutputs(param, known.link == linkSoftmax); err != nil {
		return err
	}
	f.bias, err = xgboostBias(param, f.outputs, known.margin)
	return err
}

// xgboostFeatures returns the features' names, f0, f1 and so on where the file has none.
func xgboostFeatures(learner, param object) ([]string, error) {
	count, err := param.count("num_feature", maxFeatures)
	if err != nil {
		return nil, err
	}
	var given []any
	if learner.has("feature_names") {
		if given, err = learner.list("feature_names"); err != nil {
			return nil, err
		}
	}
	if len(given) != 0 && len(given) != count {
		return nil, learner.fault("feature_names", "%d names for %d features", len(given), count)
	}
	names := make([]string, count)
	for i := range names {
		if len(given) == 0 {
			names[i] = "f" + strconv.Itoa(i)
			continue
		}
		var ok bool
		if names[i], ok = given[i].(string); !ok {
			return nil, learner.fault("feature_names", "name %d is no text", i)
		}
	}
	return names, nil
}

// xgboostOutputs returns the number of classes of a multiclass model, else 1.
func xgboostOutputs(param object, multiclass bool) (int, error) {
	classes, err := param.count("num_class", maxOutputs)
	if err != nil {
		return 0, err
	}
	if param.has("num_target") { // since 1.6
		targets, err := param.count("num_target", math.MaxInt32)
		if err != nil {
			return 0, err
		}
		if targets > 1 {
			return 0, param.fault("num_target", "models with several targets are not supported: train one for each of the %d", targets)
		}
	}
	if classes > 1 && !multiclass {
		return 0, param.fault("num_class", "%d classes, but the objective has one output", classes)
	}
	return max(classes, 1), nil
}

// xgboostObjective says how an objective's raw scores relate to its predictions.
type xgboostObjective struct {
	link   linkKind
	margin func(float32) (float32, error) // the raw score that base_score stands for
}

// xgboostObjectives are those that can be predicted. multi:softmax predicts the class of the largest
// probability; here it gives the probabilities.
var xgboostObjectives = map[string]xgboostObjective{
	"binary:logistic":      {linkSigmoid, logit32},
	"reg:logistic":         {linkSigmoid, logit32},
	"binary:logitraw":      {linkIdentity, same32},
	"reg:squarederror":     {linkIdentity, same32},
	"reg:squaredlogerror":  {linkIdentity, same32},
	"reg:pseudohubererror": {linkIdentity, same32},
	"reg:absoluteerror":    {linkIdentity, same32},
	"reg:quantileerror":    {linkIdentity, same32},
	"reg:gamma":            {linkExp, log32},
	"reg:tweedie":          {linkExp, log32},
	"count:poisson":        {linkExp, log32},
	"rank:pairwise":        {linkIdentity, same32},
	"rank:ndcg":            {linkIdentity, same32},
	"rank:map":             {linkIdentity, same32},
	"multi:softprob":       {linkSoftmax, same32},
	"multi:softmax":        {linkSoftmax, same32},
}

// xgboostBias reads base_score: "5E-1" up to version 3.0, "[5E-1]" or a number for each class since.
func xgboostBias(param object, outputs int, margin func(float32) (float32, error)) ([]float64, error) {
	text, err := param.text("base_score")
	if err != nil {
		return nil, err
	}
	words := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), ",")
	if len(words) != 1 && len(words) != outputs {
		return nil, param.fault("base_score", "%d numbers for %d outputs", len(words), outputs)
	}
	bias := make([]float64, outputs)
	for i := range bias {
		word := strings.TrimSpace(words[min(i, len(words)-1)])
		score, err := strconv.ParseFloat(word, 32)
		if err != nil || !isFinite(score) {
			return nil, param.fault("base_score", "%.40q is no finite number", word)
		}
		raw, err := margin(float32(score))
		if err != nil {
			return nil, param.fault("base_score", "%w", err)
		}
		bias[i] = float64(raw)
	}
	return bias, nil
}

// The links from base_score to a raw score are XGBoost's, in float32 as there.

func same32(score float32) (float32, error) { return score, nil }

func log32(score float32) (float32, error) {
	if !(score > 0) {
		return 0, fmt.Errorf("%v is not above 0, and the objective takes its logarithm", score)
	}
	return logf(score), nil
}

// logit32 is log(p/(1-p)), with p kept off 0 and 1.
func logit32(p float32) (float32, error) {
	if !(0 <= p && p <= 1) {
		return 0, fmt.Errorf("%v is no probability", p)
	}
	const margin = float32(1e-6)
	p = min(max(p, margin), 1-margin)
	odds, err := log32(1/p - 1)
	return -odds, err
}

// xgboostBooster returns the model of trees, and the weight of each tree where it is a dart.
func xgboostBooster(learner object) (model object, weights []float64, err error) {
	booster, err := learner.object("gradient_booster")
	if err != nil {
		return object{}, nil, err
	}
	name, err := booster.text("name")
	if err != nil {
		return object{}, nil, err
	}
	holder := booster
	switch name {
	case "gbtree":
	case "dart":
		if holder, err = booster.object("gbtree"); err != nil {
			return object{}, nil, err
		}
	case "gblinear":
		return object{}, nil, booster.fault("name", "gblinear is a linear model, it has no trees")
	default:
		return object{}, nil, booster.fault("name", "the booster %q is not supported", name)
	}
	if model, err = holder.object("model"); err != nil {
		return object{}, nil, err
	}
	switch { // since 3.4 the weights stand in the model
	case name == "dart":
		weights, err = booster.numbers("weight_drop")
	case model.has("weight_drop"):
		weights, err = model.numbers("weight_drop")
	}
	return model, weights, err
}

// readXGBoostTrees reads all trees. Dart's weights go into the leaves.
func (f *Forest) readXGBoostTrees(model object, weights []float64) error {
	list, err := model.list("trees")
	if err != nil {
		return err
	}
	outputs, err := model.numbers("tree_info")
	switch {
	case err != nil:
		return err
	case len(list) > maxTrees:
		return model.fault("trees", "%d trees are more than %d", len(list), maxTrees)
	case len(outputs) != len(list):
		return model.fault("tree_info", "%d numbers for %d trees", len(outputs), len(list))
	case weights != nil && len(weights) != len(list):
		return model.fault("weight_drop", "%d weights for %d trees", len(weights), len(list))
	}
	if err := checkTreeCount(model, len(list)); err != nil {
		return err
	}
	f.trees = make([]tree, len(list))
	reader := xgboostTrees{features: len(f.features), setWords: maxSetWords}
	for i := range list {
		weight := float32(1)
		if weights != nil {
			weight = float32(weights[i])
		}
		if err := f.readXGBoostTree(&reader, i, list[i], outputs[i], weight); err != nil {
			return inTree(i, err)
		}
	}
	return nil
}

// checkTreeCount compares the number of trees with what the file says that it is.
func checkTreeCount(model object, trees int) error {
	param, err := model.object("gbtree_model_param")
	if err != nil {
		return err
	}
	count, err := param.count("num_trees", maxTrees)
	if err == nil && count != trees {
		err = param.fault("num_trees", "%d, but there are %d trees", count, trees)
	}
	return err
}

// inTree says of an error which tree it is about.
func inTree(i int, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Tree = i
		return e
	}
	return treeFault(i, "left_children", "%w", err) // draft.finish finds children amiss
}

func (f *Forest) readXGBoostTree(reader *xgboostTrees, i int, value any, output float64, weight float32) error {
	members, ok := value.(map[string]any)
	if !ok {
		return fault("", "the tree is no object")
	}
	if output < 0 || output >= float64(f.outputs) || output != math.Trunc(output) {
		return fault("tree_info", "output %v is none of %d", output, f.outputs)
	}
	d, err := reader.draft(i, object{members: members}, weight)
	if err != nil {
		return err
	}
	d.output = int(output)
	f.trees[i], err = d.finish(len(f.features))
	return err
}
