package main

import (
	"bytes"
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

// releasing is a standard error that calls release when it is told of another attempt.
type releasing struct {
	bytes.Buffer
	release func()
}

func (w *releasing) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("trying again")) {
		w.release()
	}
	return w.Buffer.Write(p)
}

// TestMigrateUpTriesAgainWhileATableIsInUse has a transaction read the catalogue, until the command gives up, and
// then until it tries again.
func TestMigrateUpTriesAgainWhileATableIsInUse(t *testing.T) {
	url := startDatabase(t)
	environ := []string{"RECSTREAM_DATABASE_URL=" + url}
	if got := recstream(t, environ, "", "migrate", "up"); got.status != exitOK {
		t.Fatalf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	reader, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.WithoutCancel(t.Context()))
	execute := func(sql string) {
		if _, err := reader.Exec(t.Context(), sql); err != nil {
			t.Error(err)
		}
	}
	files, err := fs.Glob(schemas.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	undone := files[slices.Index(files, "migrations/00006_decisions.sql"):]
	for _, file := range slices.Backward(undone) {
		text, err := schemas.Migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, down, _ := strings.Cut(string(text), "-- +goose Down")
		execute(down)
	}
	execute(`DELETE FROM goose_db_version WHERE version_id >= 6`)
	execute(`BEGIN; SELECT FROM items`)

	got := recstream(t, environ, "", "migrate", "up", "--wait", "0s")
	const refusal = "recstream: migrate database: 00006_decisions.sql: a table that it changes is in use by pid "
	if got.status != exitRuntime || !strings.HasPrefix(got.stderr, refusal) || !strings.Contains(got.stderr, "SELECT FROM items\nhint: let that query end") {
		t.Errorf("status %d\n%s", got.status, got.stderr)
	}
	var stdout bytes.Buffer
	stderr := &releasing{release: func() { execute(`ROLLBACK`) }}
	status := run(t.Context(), []string{"migrate", "up"}, environ, strings.NewReader(""), &stdout, stderr)
	if status != exitOK || strings.Count(stdout.String(), "applied 000") != len(undone) || strings.Count(stderr.String(), "trying again in ") != 1 {
		t.Errorf("status %d\n%s%s", status, stdout.String(), stderr.String())
	}
}
