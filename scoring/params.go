package scoring

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"recstream/schemas"
	"recstream/scoring/catalog"
)

// versionDigits is how many hexadecimal digits of the hash stand for a configuration.
const versionDigits = 12

// Params are everything that a decision depends on beside the request, the model and the catalogue. They
// are configuration: the yaml tags are the keys.
type Params struct {
	// Rules say which items suit which context. Snapshots given to the engine are built with them.
	Rules catalog.Rules `yaml:"rules"`
	// MaxItems caps the items of an answer, whatever a request asks for: 1 to schemas.MaxLimit.
	MaxItems int `yaml:"max_items"`
	// ConstantScoresMin is the number of candidates, 2 or more, from which on a model that predicts exactly
	// the same for all of them is taken to be broken. Fewer may well be alike.
	ConstantScoresMin int `yaml:"constant_scores_min"`
}

// DefaultParams returns the parameters that hold where nothing is configured.
func DefaultParams() Params {
	return Params{Rules: catalog.DefaultRules(), MaxItems: schemas.MaxLimit, ConstantScoresMin: 20}
}

// Validate reports every value that cannot work, each by the name of its field.
func (p *Params) Validate() error {
	var errs []error
	if err := p.Rules.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("rules: %w", err))
	}
	if p.MaxItems < 1 || p.MaxItems > schemas.MaxLimit {
		errs = append(errs, fmt.Errorf("max_items: %d is not 1 to %d", p.MaxItems, schemas.MaxLimit))
	}
	if p.ConstantScoresMin < 2 {
		errs = append(errs, fmt.Errorf("constant_scores_min: %d is less than 2", p.ConstantScoresMin))
	}
	return errors.Join(errs...)
}

// Version names the parameters by their content: the first 12 hexadecimal digits of a SHA-256. Equal
// parameters have equal versions in every process. The parameters must be valid.
func (p *Params) Version() string {
	// Structs encode field by field in their order and there is no map among them, so the text is canonical.
	text, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("scoring: version of invalid parameters: %v", err)) // NaN or infinite minutes
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:versionDigits]
}
