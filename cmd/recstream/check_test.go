package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/internal/config"
)

// TestCheckModels looks at every model that the database wants of the store.
func TestCheckModels(t *testing.T) {
	store, _ := films(t)
	url := startDatabase(t)
	stored := []string{"RECSTREAM_DATABASE_URL=" + url, "RECSTREAM_MODEL_STORE=" + store, "RECSTREAM_KAFKA_BROKERS=127.0.0.1:1"}
	trial := filepath.Join(t.TempDir(), "trial.yaml")
	text := "name: trial\nvariants: [{name: control}, {name: new, model: films@2}]\nshadows: [{name: next, model: films@2}]\n"
	if err := os.WriteFile(trial, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(environ []string, parts ...string) {
		t.Helper()
		got := recstream(t, environ, "", "check")
		for _, part := range parts {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("check lacks %q\n%s%s", part, got.stdout, got.stderr)
			}
		}
	}
	must := func(args ...string) {
		t.Helper()
		if got := recstream(t, stored, "", args...); got.status != 0 {
			t.Fatalf("%v: status %d\n%s", args, got.status, got.stderr)
		}
	}
	remove := func(version string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(store, "films", version)); err != nil {
			t.Fatal(err)
		}
	}
	must("migrate", "up")
	check(stored, "ok    model       none is active", "recstream model activate")
	check(stored[:1], "ok    model       none configured", "set model.store")
	must("model", "activate", "films@1")
	must("experiment", "start", trial)
	check(stored, "ok    model       films@1 is active: 100 trees", "ok    experiment  trial: films@2")
	check(stored[:1], "FAIL  model       films@1 is active, but model.store is not set", "RECSTREAM_MODEL_STORE")
	remove("2")
	check(stored, "ok    model", "FAIL  experiment  trial: variant new: films@2 is not in the store "+store,
		"shadow next: films@2 is not in the store", "put it there")
	remove("1")
	check(stored, "FAIL  model       films@1 is not in the store "+store, "put it there")
	must("model", "build", demoModelFile, "films@1", "--sample", sampleOf(t), "--source", "elsewhere")
	check(stored, "FAIL  model       films@1 has the SHA-256 ", "put the bundle there that was activated")
	check(append(stored[1:], noDatabase...), "FAIL  model       which is active is not known")
}

// TestServeTellsOfUnusedModels is about an instance that has been given no model, while others are in force.
func TestServeTellsOfUnusedModels(t *testing.T) {
	store, _ := films(t)
	url := startDatabase(t)
	for _, args := range []string{"migrate up", "model activate films@1 --store " + store} {
		if got := recstream(t, []string{"RECSTREAM_DATABASE_URL=" + url}, "", strings.Fields(args)...); got.status != 0 {
			t.Fatalf("%s: %s", args, got.stderr)
		}
	}
	tests := map[string]struct {
		model config.Model
		warns bool
	}{
		"neither": {config.Model{}, true},
		"store":   {config.Model{Store: store}, false},
		"path":    {config.Model{Path: demoModelFile}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Database.URL, cfg.Model.Store, cfg.Model.Path = config.DatabaseURL(url), tt.model.Store, tt.model.Path
			var log bytes.Buffer
			p, err := newPipeline(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			if err := p.tellUnused(t.Context()); err != nil {
				t.Fatal(err)
			}
			warned := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "model.store") &&
				strings.Contains(log.String(), "films@1")
			if warned != tt.warns {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

// sampleOf writes another sample than that of films, so that a bundle of it is another one.
func sampleOf(t *testing.T) string {
	t.Helper()
	_, sample := films(t)
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(sample, []byte(strings.Join(lines[:50], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return sample
}
