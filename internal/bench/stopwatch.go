package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// measurement is what one round cost, from the first read to the last commit.
type measurement struct {
	Seconds     float64
	AppCPU      float64 // seconds of processor time, of the contender's process
	BrokerCPU   float64 // likewise, of Kafka
	DatabaseCPU float64 // likewise, of Postgres with all its processes
	Idle        float64 // seconds that the machine's processors had nothing to do, all together
	PeakRSS     int64   // bytes; of the contender since it was started, 0 where /proc does not tell

	Replay *measurement `json:",omitempty"` // of the same round, where it was replayed
}

// stopwatch takes the measurement, and the CPU profile where one is wanted.
type stopwatch struct {
	job      job
	once     sync.Once
	started  measurement // Seconds is not used
	began    time.Time
	profile  *os.File
	measured measurement
}

// newStopwatch returns a watch that stands still.
func newStopwatch(j job) *stopwatch { return &stopwatch{job: j} }

// begin starts the watch; only the first call counts.
func (w *stopwatch) begin() {
	w.once.Do(func() {
		if w.job.CPUProfile != "" {
			if f, err := os.Create(w.job.CPUProfile); err == nil && pprof.StartCPUProfile(f) == nil {
				w.profile = f
			}
		}
		w.began, w.started = time.Now(), w.used()
	})
}

// end stops the watch.
func (w *stopwatch) end() {
	m := w.used()
	m.Seconds = time.Since(w.began).Seconds()
	m.AppCPU -= w.started.AppCPU
	m.BrokerCPU -= w.started.BrokerCPU
	m.DatabaseCPU -= w.started.DatabaseCPU
	m.Idle -= w.started.Idle
	w.measured = m
	if w.profile != nil {
		pprof.StopCPUProfile()
		_ = w.profile.Close()
	}
}

// used returns what was used until now.
func (w *stopwatch) used() measurement {
	processes := readProcesses()
	return measurement{
		AppCPU:      ownCPU(),
		BrokerCPU:   processes.cpu(w.job.BrokerPID),
		DatabaseCPU: processes.cpu(w.job.DatabasePID),
		Idle:        machineIdle(),
		PeakRSS:     peakRSS(),
	}
}

// ownCPU returns the processor time of this process, in user mode and in the kernel, in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peakRSS reads the high-water mark of this program. That of getrusage would be the parent's where that was
// larger, since it outlives exec.
func peakRSS() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB int64
	_, _ = fmt.Sscan(rest, &kB) // 0 where it is not there
	return kB << 10
}

// machineIdle reads the machine's idle time, which covers waits for disks.
func machineIdle() float64 {
	text, _ := os.ReadFile("/proc/stat")
	var user, nice, system, idle, wait int64
	_, _ = fmt.Sscanf(string(text), "cpu %d %d %d %d %d", &user, &nice, &system, &idle, &wait)
	return float64(idle+wait) / ticksPerSecond
}

// ticksPerSecond is the unit of processor time in /proc, the same on every Linux in use.
const ticksPerSecond = 100

// processes are all that run, by id; none where there is no /proc.
type processes map[int]process

// process is what /proc tells of one.
type process struct {
	name   string
	parent int
	ticks  int64 // processor time of itself
	waited int64 // and of its children that have ended
}

// readProcesses looks at all processes. It takes some milliseconds, before and after what is measured.
func readProcesses() processes {
	all := processes{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		if pid, p, ok := parseStat(text); ok {
			all[pid] = p
		}
	}
	return all
}

// parseStat reads a process's line as proc(5) gives it. The name stands in parentheses and may have any in it.
func parseStat(text []byte) (pid int, p process, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return 0, p, false
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 15 {
		return 0, p, false
	}
	number := func(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }
	pid = int(number(strings.TrimSpace(string(text[:open]))))
	p = process{
		name:   string(text[open+1 : end]),
		parent: int(number(fields[1])),
		ticks:  number(fields[11]) + number(fields[12]),
		waited: number(fields[13]) + number(fields[14]),
	}
	return pid, p, true
}

// cpu returns the seconds of processor time that a process and its children, also those that ended, have used.
// Grandchildren count once their parents have ended; servers have none that matter.
func (all processes) cpu(pid int) float64 {
	root := all[pid]
	ticks := root.ticks + root.waited
	for _, p := range all {
		if p.parent == pid {
			ticks += p.ticks
		}
	}
	return float64(ticks) / ticksPerSecond
}

// child returns the id of a process's child with that name, 0 if there is none.
func (all processes) child(parent int, name string) int {
	for pid, p := range all {
		if p.parent == parent && p.name == name {
			return pid
		}
	}
	return 0
}
