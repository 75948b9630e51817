// Package devstacktest shares one Postgres among the tests of a package.
package devstacktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"recstream/internal/devstack"
)

// patience is far more than the server needs for a database.
const patience = 30 * time.Second

// Postgres is the server of a package's tests; each test has a database of its own. The zero value has no server yet.
type Postgres struct{ server *devstack.Postgres }

// Around returns the package's tests with the server: it is started before them, where the machine has one, and ends
// with them, before leaks are looked for.
func (p *Postgres) Around(m *testing.M) *Tests { return &Tests{m, p} }

// Tests are a package's tests, to be run in TestMain.
type Tests struct {
	tests    *testing.M
	postgres *Postgres
}

// Run runs the tests, and returns their exit status.
func (t *Tests) Run() int {
	server, err := devstack.StartPostgres(context.Background(), devstack.PostgresOptions{})
	if errors.Is(err, devstack.ErrNoPostgres) {
		return t.tests.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Close()
	t.postgres.server = server
	return t.tests.Run()
}

// Database returns the URL of an empty database of the test's own. Without a server it skips the test.
func (p *Postgres) Database(t testing.TB) (url string) {
	t.Helper()
	if p.server == nil {
		t.Skip(devstack.ErrNoPostgres)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	url, err := p.server.CreateDatabase(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return url
}
