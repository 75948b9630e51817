package model_test

import (
	"strings"
	"testing"

	"recstream/scoring/model"
)

// Every gate refuses what only it can see; those after it are not tried.
func TestVerify(t *testing.T) {
	data := read(t, demoPath)
	tests := map[string]struct {
		change func(*model.Manifest)
		data   string
		detail string
	}{
		"":             {func(*model.Manifest) {}, demoPath, ""},
		"manifest":     {func(m *model.Manifest) { m.Features = nil }, demoPath, "there are none"},
		"checksum":     {func(m *model.Manifest) { m.SHA256 = strings.Repeat("0", 64) }, demoPath, "SHA-256"},
		"model file":   {func(*model.Manifest) {}, "testdata/linear_tree.txt", "is_linear"},
		"features":     {func(*model.Manifest) {}, "testdata/reordered.txt", "feature 0"},
		"golden rows":  {func(m *model.Manifest) { m.Golden[0].Prediction = 0.5 }, demoPath, "golden row 0"},
		"made-up rows": {func(m *model.Manifest) { m.Golden = nil }, "testdata/constant.txt", "constant"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := manifest(t, data)
			tt.change(m)
			file := data
			if tt.data != demoPath {
				file = read(t, tt.data)
				m.SHA256 = model.Digest(file)
			}
			_, gates, err := model.Verify(write(t, m, file))
			refused := false
			for _, g := range gates {
				if g.Tried == refused || (g.Err != nil) != (g.Name == name) || g.Tried && (g.Found == "") != (g.Err != nil) {
					t.Errorf("%+v", g)
				}
				refused = refused || g.Err != nil
			}
			if len(gates) != 8 || refused != (err != nil) || refused != (name != "") || refused && !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("%d gates, error %v; want %q", len(gates), err, tt.detail)
			}
		})
	}
}

func TestVerifyOfAPlainFile(t *testing.T) {
	m, gates, err := model.Verify(demoPath)
	if err != nil || m == nil || len(gates) != 7 || gates[0].Name != "file" {
		t.Errorf("%+v, error %v", gates, err)
	}
	for _, g := range gates {
		if !g.Tried || g.Err != nil || g.Found == "" || g.Skipped != (g.Name == "golden rows") {
			t.Errorf("%+v", g)
		}
	}
}
