package model

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"recstream/schemas"
)

// A pipe without a writer would block whoever opens it; a device has no end.
func TestSpecialFilesAreRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "model.txt")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		_, err := Load(path)
		var refused *LoadError
		if !errors.As(err, &refused) || refused.Reason != schemas.ReasonModelLoadFailed {
			t.Errorf("%s: error %v", path, err)
		}
	}
}
