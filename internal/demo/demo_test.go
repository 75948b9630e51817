package demo_test

import (
	"reflect"
	"testing"

	"recstream/internal/demo"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

// TestStore opens the bundles, which puts them through all gates.
func TestStore(t *testing.T) {
	store := model.Store{Dir: t.TempDir()}
	if err := demo.WriteStore(store.Dir); err != nil {
		t.Fatal(err)
	}
	list, err := store.List()
	if err != nil || len(list) != 3 {
		t.Fatalf("%d bundles, error %v", len(list), err)
	}
	auc := 0.0
	for _, tt := range []struct {
		version     string
		features    int
		needProfile bool
	}{{"1", 17, false}, {"2", 26, false}, {"3", 29, true}} {
		m, err := store.Open("films", tt.version)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(m.Features().Names()); n != tt.features || m.Features().NeedsProfile() != tt.needProfile {
			t.Errorf("films@%s: %d features, profile %v", tt.version, n, m.Features().NeedsProfile())
		}
		manifest := m.Manifest()
		if len(manifest.Golden) < 10 || manifest.Profile == nil || manifest.Training == nil {
			t.Errorf("films@%s: %d golden rows, profile %v, training %v", tt.version, len(manifest.Golden), manifest.Profile, manifest.Training)
		}
		if tt.version == "1" && !reflect.DeepEqual(manifest.Features, feature.Default().Features) {
			t.Errorf("films@1 has not the default features: %+v", manifest.Features)
		}
		if got := manifest.Training.Metrics["auc"]; got <= auc {
			t.Errorf("films@%s: AUC %v, not above %v", tt.version, got, auc)
		} else {
			auc = got
		}
	}
}
