package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestDocumentIsOpenAPI(t *testing.T) {
	if err := document(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
	again, err := makeDocument()
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := Document(); !bytes.Equal(text, again) {
		t.Error("two documents differ")
	}
}

// TestDocumentHasEveryRoute wants every path and method to be answered, by something else than "no such path".
func TestDocumentHasEveryRoute(t *testing.T) {
	b := startBridge(t, nil)
	n := 0
	for path, item := range document(t).Paths.Map() {
		for method := range item.Operations() {
			n++
			a := b.send(t, method, strings.NewReplacer("{request_id}", "r1", "{item_id}", "film-1").Replace(path), "{}", "Prefer", "wait=0")
			if a.StatusCode == http.StatusMethodNotAllowed || a.StatusCode == http.StatusNotFound && a.problem(t).Code == CodeNotFound {
				t.Errorf("%s %s: %s", method, path, a.Status)
			}
		}
	}
	if n != 10 {
		t.Errorf("%d operations, want all 10", n)
	}
}

// TestDocumentRefusesWhatIsNotSo makes sure that the checks of the other tests can fail.
func TestDocumentRefusesWhatIsNotSo(t *testing.T) {
	b := startBridge(t, nil)
	tests := map[string]struct {
		method, path, body string
		status             int
	}{
		"result without items' titles": {"GET", "/v1/recommendations/r1", `{"request_id":"r1","status":"ok","items":[{"item_id":"x"}],"source":{}}`, 200},
		"status without tiers":         {"GET", "/v1/status", `{"instance":"x"}`, 200},
		"pending with more":            {"POST", "/v1/recommendations", `{"request_id":"r1","status":"pending","more":1}`, 202},
		"status that is not there":     {"GET", "/v1/status", `{}`, 418},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			req := b.request(t, test.method, test.path, nil)
			res := &http.Response{StatusCode: test.status, Header: http.Header{"Content-Type": {"application/json"}}}
			item, path := documented(t, test.path)
			if err := conforms(t, req, item, path, &answer{res, []byte(test.body)}); err == nil {
				t.Error("it is taken for valid")
			}
		})
	}
}

func TestDocumentNamesTheCodes(t *testing.T) {
	text, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas struct {
				ProblemCode  struct{ Enum []string }
				RequestEvent struct {
					Required   []string
					Properties map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if n := len(doc.Components.Schemas.ProblemCode.Enum); n != len(kinds) || n == 0 {
		t.Errorf("%d codes, want %d", n, len(kinds))
	}
	if r := doc.Components.Schemas.RequestEvent; len(r.Required) != 0 || len(r.Properties) != 15 {
		t.Errorf("a request has %d fields, and needs %v", len(r.Properties), r.Required)
	}
}
