// Package plant puts faults into the program, at its wiring: crash points, where the process kills itself, stops or
// loses an answer, and planted bugs, each of them wrong in a way that a real program gets wrong. They show that the
// tests of faults reach what they say, and that their checker finds what is wrong.
//
// Without the build tag faults there is nothing of it: the functions that the wiring calls hand back what they are
// given. With it the environment says what happens, see [EnvPoint] and [EnvBug]. What a fault does is said on the
// process's standard error when it is done, by [PointReached] and [BugAtWork], so that a test can tell that it was.
package plant

// The environment of a process that was built with the tag faults.
const (
	EnvPoint = "FAULT_POINT" // the name of a Point; empty is none
	EnvAt    = "FAULT_AT"    // at which time of reaching the point it happens, 1 if empty; only that once
	EnvDo    = "FAULT_DO"    // an Action, Kill if empty
	EnvBug   = "FAULT_BUG"   // the name of a Bug; empty is none
	// EnvClock is the path of a file with a duration, such as -1h30m, by which the clock of events is wrong. It may be
	// replaced at any time; empty is a clock that is right.
	EnvClock = "FAULT_CLOCK"
)

// Action is what happens at a point.
type Action string

// The actions.
const (
	Kill Action = "kill" // SIGKILL to the process itself
	Stop Action = "stop" // SIGSTOP to the process itself, as when its machine is paused; SIGCONT has it go on
	// Fail makes an error of the operation at hand: before it, so that it is not done, or after it, so that only its
	// answer is lost. Inside of a transaction of Postgres it does nothing.
	Fail Action = "fail"
)

// PointReached is what a process says before it does what it is to do at a point.
func PointReached(p Point) string { return "planted fault: reached " + string(p) }

// BugAtWork is what a process says when its bug goes wrong for the first time.
func BugAtWork(b Bug) string { return "planted bug: " + string(b) + " at work" }
