package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	probeInterval = 20 * time.Millisecond
	// closeTimeout is what Close grants a server before it is killed.
	closeTimeout = 20 * time.Second
	// killTimeout is what Kill grants a server that ends its children first.
	killTimeout = time.Minute
	// pipeTimeout is what a dead server's children get to let go of its output.
	pipeTimeout = 5 * time.Second
)

// process is a running server. Its own goroutine waits for it; done tells that it has ended.
type process struct {
	cmd    *exec.Cmd
	name   string // for errors
	paused bool   // its server's lock guards it
	output *tail
	done   chan struct{}
	err    error // how it ended; read it after done
}

// startProcess starts the command. Its output goes to log, if there is one, and its end into errors.
// The process dies with this one: by onOrphan where the system can do that.
func startProcess(name string, cmd *exec.Cmd, log io.Writer, onOrphan syscall.Signal) (*process, error) {
	p := &process{cmd: cmd, name: name, output: &tail{}, done: make(chan struct{})}
	cmd.Stdout = p.output
	if log != nil {
		cmd.Stdout = io.MultiWriter(p.output, log)
	}
	cmd.Stderr = cmd.Stdout
	cmd.WaitDelay = pipeTimeout
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// A process group of its own: Ctrl-C is for us, who then stop the server in the right order.
	cmd.SysProcAttr.Setpgid = true
	endWithParent(cmd.SysProcAttr, onOrphan)

	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// run starts the process and waits for it on one operating system thread. Linux sends the signal
// for orphans when the thread that started the child ends, not when the whole parent does, and Go
// ends a thread whenever a goroutine returns that was locked to it. This goroutine keeps its thread
// to itself for as long as the server lives, and gives it back alive.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// ready calls probe until it succeeds. It fails when ctx or the process ends before that.
func (p *process) ready(ctx context.Context, probe func(context.Context) error) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return p.ended()
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w); its output ends:\n%s", p.name, ctx.Err(), err, p.output)
		}
	}
}

// ended says why a process is gone that should not be.
func (p *process) ended() error {
	how := "with status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended: %s; its output ends:\n%s", p.name, how, p.output)
}

// stop sends the signal and waits for the end. When ctx ends first, the process is killed.
func (p *process) stop(ctx context.Context, signal os.Signal) error {
	// An error means that it has ended, which done tells below.
	_ = p.cmd.Process.Signal(signal)
	if p.paused {
		_ = p.freeze(false) // it only gets the signal then, unless it is SIGKILL
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("stop %s: killed: %w", p.name, ctx.Err())
	}
}
