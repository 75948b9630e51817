package forest

import (
	"errors"
	"fmt"
	"strings"
)

// lgbObjectives are the objectives by name, of all versions. Of some the scale or the number of classes
// follows the name.
var lgbObjectives = map[string]linkKind{
	"":                     linkIdentity, // none, or a function of the user's
	"custom":               linkIdentity,
	"binary":               linkSigmoid,
	"cross_entropy":        linkSigmoid,
	"xentropy":             linkSigmoid,
	"cross_entropy_lambda": linkLog1pExp,
	"xentlambda":           linkLog1pExp,
	"regression":           linkIdentity,
	"regression_l1":        linkIdentity,
	"huber":                linkIdentity,
	"fair":                 linkIdentity,
	"quantile":             linkIdentity,
	"quantile_l2":          linkIdentity,
	"mape":                 linkIdentity,
	"poisson":              linkExp,
	"gamma":                linkExp,
	"tweedie":              linkExp,
	"lambdarank":           linkIdentity,
	"rank_xendcg":          linkIdentity,
	"multiclass":           linkSoftmax,
	"multiclassova":        linkSigmoidEach,
}

// parseLGBObjective reads an objective with its parameters, such as "multiclassova num_class:3 sigmoid:1".
func parseLGBObjective(objective string, outputs int) (link, error) {
	name, params, _ := strings.Cut(objective, " ")
	kind, known := lgbObjectives[name]
	if !known {
		return link{}, errors.New("this objective is unknown")
	}
	l := link{kind: kind, scale: 1}
	switch name {
	case "multiclass", "multiclassova":
		want := fmt.Sprintf("num_class:%d", outputs)
		first, rest, _ := strings.Cut(params, " ")
		if first != want {
			return link{}, fmt.Errorf("%q is not %s", first, want)
		}
		params = rest
	case "", "custom": // may have any number of outputs
	default:
		if outputs != 1 {
			return link{}, fmt.Errorf("it has 1 raw score, not %d", outputs)
		}
	}
	var err error
	switch name {
	case "binary", "multiclassova":
		l.scale, err = parseLGBSigmoid(params)
		params = ""
	case "regression", "regression_l1", "fair", "quantile", "quantile_l2", "mape":
		if params == "sqrt" { // reg_sqrt: trained on the labels' square roots
			l.kind, params = linkSquare, ""
		}
	}
	if params != "" {
		err = fmt.Errorf("parameter %q is unknown", params)
	}
	return l, err
}

// parseLGBSigmoid reads the factor in the sigmoid.
func parseLGBSigmoid(param string) (float64, error) {
	value, ok := strings.CutPrefix(param, "sigmoid:")
	if !ok {
		return 0, fmt.Errorf("%q is no sigmoid:factor", param)
	}
	factor, err := parseDecimal(value)
	if err == nil && factor <= 0 {
		err = fmt.Errorf("the sigmoid's factor is %v, which is not positive", factor)
	}
	return factor, err
}
