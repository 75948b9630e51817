package devstack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// fakeServer makes empty executables where a Postgres would have its own.
func fakeServer(t *testing.T, dir string) string {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"initdb", "postgres"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o755))
	}
	return dir
}

func TestFindPostgres(t *testing.T) {
	root := t.TempDir()
	given := fakeServer(t, filepath.Join(root, "given"))
	variable := fakeServer(t, filepath.Join(root, "variable"))
	fakeServer(t, filepath.Join(root, "cache/recstream/postgres-9.6.24/bin"))
	newest := fakeServer(t, filepath.Join(root, "cache/recstream/postgres-17.10.0/bin"))
	must(t, os.MkdirAll(filepath.Join(root, "cache/recstream/postgres-18.1/bin"), 0o755)) // empty
	system := fakeServer(t, filepath.Join(root, "system"))
	empty := t.TempDir()

	tests := map[string]struct {
		option, variable, cache, path, skip string
		want                                string // "" is ErrNoPostgres
	}{
		"the option wins":             {option: given, variable: variable, cache: "cache", want: given},
		"then the variable":           {variable: variable, cache: "cache", path: system, want: variable},
		"then the system":             {cache: "cache", path: system, want: system},
		"then the newest that is ok":  {cache: "cache", skip: "1", path: system, want: newest},
		"none":                        {cache: "nothing", skip: "1"},
		"a wrong option is no search": {option: empty, cache: "cache", path: system},
		"a wrong variable neither":    {variable: empty, cache: "cache", path: system},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("RECSTREAM_PG_BIN", tt.variable)
			t.Setenv("RECSTREAM_PG_SKIP_SYSTEM", tt.skip)
			t.Setenv("XDG_CACHE_HOME", filepath.Join(root, tt.cache))
			t.Setenv("PATH", tt.path)
			got, err := findPostgres(t.Context(), tt.option)
			if tt.want == "" && !errors.Is(err, ErrNoPostgres) {
				t.Errorf("got %q and error %v, want ErrNoPostgres", got, err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestStartPostgresWithoutBinaries(t *testing.T) {
	_, err := StartPostgres(t.Context(), PostgresOptions{BinDir: t.TempDir()})
	if !errors.Is(err, ErrNoPostgres) {
		t.Errorf("error %v, want ErrNoPostgres", err)
	}
}
