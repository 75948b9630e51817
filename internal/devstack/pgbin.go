package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPostgres says that the machine has no Postgres server binaries.
var ErrNoPostgres = errors.New("no Postgres server binaries found: run scripts/postgres.sh install, " +
	"or set RECSTREAM_PG_BIN to the directory that holds initdb and postgres")

// findPostgres returns the directory that holds initdb and postgres. It looks where
// scripts/postgres.sh looks, in the same order, so what the script installed is found.
func findPostgres(ctx context.Context, given string) (string, error) {
	if dir := cmp.Or(given, os.Getenv("RECSTREAM_PG_BIN")); dir != "" {
		if !holdsPostgres(dir) {
			return "", fmt.Errorf("%s holds no initdb and postgres: %w", dir, ErrNoPostgres)
		}
		return dir, nil
	}
	var dirs []string
	if os.Getenv("RECSTREAM_PG_SKIP_SYSTEM") != "1" {
		dirs = systemPostgres(ctx)
	}
	if cache, err := cacheDir(); err == nil {
		dirs = append(dirs, newestFirst(filepath.Join(cache, "postgres-*", "bin"))...)
	}
	if i := slices.IndexFunc(dirs, holdsPostgres); i >= 0 {
		return dirs[i], nil
	}
	return "", ErrNoPostgres
}

// systemPostgres lists where the distribution may have put a server: what pg_config says, the home
// of the initdb on the PATH (often a link), and Debian's directories.
func systemPostgres(ctx context.Context) []string {
	var dirs []string
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if binary, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(binary))
		}
	}
	return append(dirs, newestFirst("/usr/lib/postgresql/*/bin")...)
}

func holdsPostgres(dir string) bool {
	return executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres"))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// cacheDir returns where the scripts keep downloads. Root's are outside of its home, which others
// often cannot enter: the server does not run as root.
func cacheDir() (string, error) {
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "recstream"), nil
	}
	if os.Geteuid() == 0 {
		return "/var/cache/recstream", nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cache", "recstream"), err
}

// newestFirst returns the paths that match, the highest version first: 17 before 9.6.
func newestFirst(pattern string) []string {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil // only a malformed pattern gives one
	}
	slices.SortFunc(paths, func(a, b string) int { return slices.Compare(numbers(b), numbers(a)) })
	return paths
}

// numbers returns the numbers in s, in order.
func numbers(s string) []int {
	var all []int
	for _, digits := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(digits); err == nil {
			all = append(all, n)
		}
	}
	return all
}
