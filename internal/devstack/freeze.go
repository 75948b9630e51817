package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// freeze stops the process and its children with SIGSTOP, or has them go on. The process comes
// first: it cannot make children then that would be overlooked.
func (p *process) freeze(paused bool) error {
	signal := syscall.SIGCONT
	if paused {
		signal = syscall.SIGSTOP
	}
	p.paused = paused
	pid := p.cmd.Process.Pid
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("%v %s: %w", signal, p.name, err)
	}
	family, err := children(pid)
	if err != nil {
		return fmt.Errorf("find the processes of %s: %w", p.name, err)
	}
	for _, child := range family {
		if err := syscall.Kill(child, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%v %s: %w", signal, p.name, err)
		}
	}
	return nil
}

// children returns the processes whose parent the process is, as Linux has them in /proc.
func children(parent int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return nil, errors.Join(err, errors.ErrUnsupported)
	}
	var all []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// The second field is the name, in brackets, in which anything may be; the fourth the parent.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			all = append(all, pid)
		}
	}
	return all, nil
}
