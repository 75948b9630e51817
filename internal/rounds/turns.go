package rounds

import (
	"context"
	"math"
	"syscall"
	"time"
)

// TakeTurns calls functions in turns, round by round, each as often in a turn as takes a Turn, at least. It returns
// nanoseconds of processor time a call, by function and round. An error is a function's, or that of ctx.
func (o *Options) TakeTurns(ctx context.Context, functions ...func() error) ([][]float64, error) {
	times := make([]int, len(functions))
	for i, f := range functions {
		var err error
		if times[i], err = calibrate(ctx, o.Turn, f); err != nil {
			return nil, err
		}
	}
	ns := make([][]float64, len(functions))
	for range o.Rounds {
		for i, f := range functions {
			took, err := repeat(ctx, times[i], f)
			if err != nil {
				return nil, err
			}
			ns[i] = append(ns[i], float64(took.Nanoseconds())/float64(times[i]))
		}
	}
	return ns, nil
}

// Microseconds turns nanoseconds into microseconds, in place, and returns them.
func Microseconds(ns []float64) []float64 {
	for i := range ns {
		ns[i] /= 1e3
	}
	return ns
}

// calibrate finds out how many calls take that long, which warms up too.
func calibrate(ctx context.Context, atLeast time.Duration, f func() error) (int, error) {
	for times := 1; ; times *= 2 {
		took, err := repeat(ctx, times, f)
		if err != nil {
			return 0, err
		}
		if took >= atLeast/2 {
			return int(math.Ceil(float64(times) * float64(atLeast) / float64(took))), nil
		}
	}
}

// repeat returns the processor time of some calls, that of all threads of the process together. On an idle
// machine it is the time that passes; on one with other work, waits for a processor are left out.
func repeat(ctx context.Context, times int, f func() error) (time.Duration, error) {
	started := processorTime()
	for range times {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return processorTime() - started, ctx.Err()
}

// processorTime is what the process has used until now, in user mode and in the kernel.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
