package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"recstream/schemas"
	"recstream/scoring/forest"
)

// Store is a directory of bundles: <dir>/<name>/<version>/manifest.yaml. Bundles are put there whole, by a rename,
// and never changed.
type Store struct {
	Dir string
}

// Entry is one bundle of a store, not opened.
type Entry struct {
	Name, Version string
	SHA256        string    // of the manifest, as in a model's Ref
	Manifest      *Manifest // nil where it cannot be read
	Err           error     // why not
}

// Path is the directory of a bundle.
func (s Store) Path(name, version string) string { return filepath.Join(s.Dir, name, version) }

// Open opens a bundle. The error is a *LoadError; it is also one where the bundle says that it is another.
func (s Store) Open(name, version string) (*Model, error) {
	label := name + "@" + version
	if !nameForm.MatchString(name) || !nameForm.MatchString(version) {
		return nil, &LoadError{Reason: schemas.ReasonModelMissing, Name: label, Err: errors.New("no such name or version can be in a store")}
	}
	m, err := Open(s.Path(name, version))
	if err != nil {
		return nil, err
	}
	if m.Ref.Name != name || m.Ref.Version != version {
		return nil, &LoadError{Reason: schemas.ReasonModelLoadFailed, Name: label,
			Err: fmt.Errorf("its manifest says that it is %s@%s", m.Ref.Name, m.Ref.Version)}
	}
	return m, nil
}

// List returns the store's bundles by name, and those of a name by version. A directory without a manifest is one
// that cannot be read. A store that does not exist is empty.
func (s Store) List() ([]Entry, error) {
	dirs, err := filepath.Glob(filepath.Join(escape(s.Dir), "*", "*"))
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	if _, err := os.ReadDir(s.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list models: %w", err) // Glob ignores what it may not read
	}
	var list []Entry
	for _, dir := range dirs {
		e := Entry{Name: filepath.Base(filepath.Dir(dir)), Version: filepath.Base(dir)}
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || strings.HasPrefix(e.Name, ".") || strings.HasPrefix(e.Version, ".") {
			continue // being built, or no bundle
		}
		var text []byte
		if text, e.Err = readFile(filepath.Join(dir, ManifestFile)); e.Err == nil {
			e.SHA256 = Digest(text)
			e.Manifest, e.Err = ParseManifest(text)
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return strings.Compare(a.Name+"\x00"+a.Version, b.Name+"\x00"+b.Version)
	})
	return list, nil
}

// escape makes a path that Glob takes as it is.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// SplitName splits name@version. Without a version ok is false.
func SplitName(label string) (name, version string, ok bool) {
	name, version, ok = strings.Cut(label, "@")
	return name, version, ok && name != "" && version != ""
}

// Forest reads the trees of a bundle, without its other gates.
func (s Store) Forest(e Entry) (*forest.Forest, error) {
	data, err := readFile(filepath.Join(s.Path(e.Name, e.Version), e.Manifest.File))
	if err != nil {
		return nil, err
	}
	return forest.Parse(data)
}
