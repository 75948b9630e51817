package model_test

import (
	"errors"
	"fmt"

	"recstream/scoring/model"
)

func ExampleLoad() {
	_, err := model.Load("testdata/without_year.txt")
	if refusal, ok := errors.AsType[*model.LoadError](err); ok {
		fmt.Println(refusal.Reason)
		fmt.Println(refusal.Err)
	}
	// Output:
	// feature_mismatch
	// the model has 16 features, not 17
}
