package scoring

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/fallback"
	"recstream/scoring/rank"
)

// versionDigits is how many hexadecimal digits of the hash stand for a configuration.
const versionDigits = 12

// Params are everything that a decision depends on beside the request, the model and the catalogue. They
// are configuration: the yaml tags are the keys.
type Params struct {
	// Rules say which items suit which context. Snapshots given to the engine are built with them.
	Rules catalog.Rules `yaml:"rules"`
	// MaxItems caps the items of an answer, whatever a request asks for: 1 to schemas.MaxLimit.
	MaxItems int             `yaml:"max_items" desc:"Most items of an answer, whatever the request asks for"`
	Rank     rank.Params     `yaml:"rank"`
	Fallback fallback.Params `yaml:"fallback"`
	Explain  Explain         `yaml:"explain"`
}

// Explain says of which decisions an explanation is kept in the ledger, and how much of it. Those that a request
// asks for are kept always.
type Explain struct {
	Keep          Keep    `yaml:"keep" desc:"Decisions whose explanation is kept: asked, sampled or always"`
	SampleRate    float64 `yaml:"sample_rate" desc:"Share of the requests, 0 to 1, that sampled keeps beside those asked for"`
	MaxDropped    int     `yaml:"max_dropped" desc:"Most items that an explanation lists as dropped, the nearest misses first"`
	Contributions int     `yaml:"contributions" desc:"Most features that an explanation names for an item, the strongest first"`
}

// Keep says of which decisions an explanation is kept.
type Keep string

// The choices.
const (
	KeepAsked   Keep = "asked"   // those whose request asks for it
	KeepSampled Keep = "sampled" // those, and a sample by the request's id
	KeepAlways  Keep = "always"
)

// DefaultParams returns the parameters that hold where nothing is configured.
func DefaultParams() Params {
	return Params{
		Rules: catalog.DefaultRules(), MaxItems: schemas.MaxLimit,
		Rank: rank.DefaultParams(), Fallback: fallback.DefaultParams(),
		Explain: Explain{Keep: KeepAsked, SampleRate: 0.01, MaxDropped: 50, Contributions: 5},
	}
}

// Validate reports every value that cannot work, each by the name of its field.
func (p *Params) Validate() error {
	var errs []error
	if p.MaxItems < 1 || p.MaxItems > schemas.MaxLimit {
		errs = append(errs, fmt.Errorf("max_items: %d is not 1 to %d", p.MaxItems, schemas.MaxLimit))
	}
	for _, section := range []struct {
		name     string
		validate func() error
	}{{"rules", p.Rules.Validate}, {"rank", p.Rank.Validate}, {"fallback", p.Fallback.Validate}, {"explain", p.Explain.validate}} {
		errs = append(errs, within(section.name, section.validate()))
	}
	return errors.Join(errs...)
}

// within puts the section's name before each error of it.
func within(section string, err error) error {
	list, joined := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !joined:
		return fmt.Errorf("%s.%w", section, err)
	}
	var errs []error
	for _, e := range list.Unwrap() {
		errs = append(errs, fmt.Errorf("%s.%w", section, e))
	}
	return errors.Join(errs...)
}

func (x *Explain) validate() error {
	switch {
	case x.Keep != KeepAsked && x.Keep != KeepSampled && x.Keep != KeepAlways:
		return fmt.Errorf("keep: %q is none of %s, %s, %s", x.Keep, KeepAsked, KeepSampled, KeepAlways)
	case !(x.SampleRate >= 0 && x.SampleRate <= 1):
		return fmt.Errorf("sample_rate: %v is not 0 to 1", x.SampleRate)
	case x.MaxDropped < 0 || x.MaxDropped > 1000:
		return fmt.Errorf("max_dropped: %d is not 0 to 1000", x.MaxDropped)
	case x.Contributions < 0 || x.Contributions > 100:
		return fmt.Errorf("contributions: %d is not 0 to 100", x.Contributions)
	}
	return nil
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
