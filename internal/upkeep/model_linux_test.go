package upkeep

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// TestModelThatBecomesReadableIsTaken changes nothing that stat shows of the file: neither its size, its time
// nor its inode.
func TestModelThatBecomesReadableIsTaken(t *testing.T) {
	f := newFixture(t)
	f.install(t, goodModel)
	must(t, os.Chmod(f.Path, 0))
	dir := filepath.Dir(f.Path)
	must(t, errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755))) // so that stat works
	asNobody(t, func() {
		for range 2 {
			f.expect(t, "unreadable", "model_load_failed")
		}
	})
	if n := f.book.Count("model not in force"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	must(t, os.Chmod(f.Path, 0o644))
	f.expect(t, "readable", sum(t, goodModel))
}

// asNobody runs do without root's right to read everything, on a thread that ends with it.
func asNobody(t *testing.T, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // and never unlocked
			const nobody = 65534
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
				t.Error(errno)
			}
		}
		do()
	}()
	<-done
}
