package chaos

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// most is how many instances a churning group has at the most.
const most = 6

// TestChurn has instances join and leave, gracefully and by a kill, and fall silent for longer than their session and
// come back as if nothing had happened. Every third time all workers are slow meanwhile: the ledger is locked, and each
// partition has a batch in hand that waits for it when the group changes.
func TestChurn(t *testing.T) {
	t.Parallel()
	s := open(t, setup{partitions: most})
	r := s.begin(t, "5", "rebalance churn")
	r.read(t)
	s.serve(t)
	r.awaitMembers(t, 1)
	r.publish(t, 300)
	for changes := share(100); r.faults < changes; {
		r.advance(t, 25)
		unlock := func() {}
		if r.faults%3 == 1 {
			unlock = r.lockLedger(t)
			r.awaitBlocked(t)
		}
		r.churn(t, unlock)
	}
	r.advance(t, 25)
	r.finish(t, share(50_000), share(100))
}

// churn changes the group once, and waits until it has formed anew. The ledger is unlocked in the midst of it.
func (r *run) churn(t *testing.T, unlock func()) {
	t.Helper()
	alive := r.living()
	i := alive[r.rng.IntN(len(alive))]
	action := r.rng.IntN(4)
	if len(alive) == 1 {
		action = 0
	} else if len(alive) == most && action == 0 {
		action = 1
	}
	switch action {
	case 0:
		r.serve(t)
		r.pause(2 * time.Second)
		unlock()
		r.awaitMembers(t, len(alive)+1)
		r.struck("one joined %d", len(alive))
	case 1:
		i.ask(t)
		r.pause(2 * time.Second)
		unlock()
		i.stopped(t)
		r.awaitMembers(t, len(alive)-1)
		r.struck("one of %d left", len(alive))
	case 2:
		i.kill()
		r.pause(2 * time.Second)
		unlock()
		r.awaitMembers(t, len(alive)-1)
		r.struck("one of %d was killed", len(alive))
	case 3:
		r.freeze(t, i, len(alive), unlock)
	}
}

// freeze stops an instance in the middle of its work until the others have its partitions, and has it go on then.
func (r *run) freeze(t *testing.T, i *instance, alive int, unlock func()) {
	t.Helper()
	i.signal(t, syscall.SIGSTOP)
	r.pause(time.Second)
	unlock()
	r.awaitMembers(t, alive-1)
	r.pause(time.Second) // the others work where it worked
	i.signal(t, syscall.SIGCONT)
	r.awaitMembers(t, alive)
	r.struck("one of %d was silent for longer than its session", alive)
}

// ask asks the instance to stop; stopped waits until it has, with status 0.
func (i *instance) ask(t *testing.T) {
	t.Helper()
	i.meant.Store(true)
	i.signal(t, syscall.SIGTERM)
}

func (i *instance) stopped(t *testing.T) {
	t.Helper()
	if !i.endsWithin(patience) || i.err != nil {
		t.Fatalf("instance %d has not stopped well: %v\n%s", i.number, i.err, i.tail(20))
	}
}

// awaitMembers waits until the group of requests has formed with so many members.
func (r *run) awaitMembers(t *testing.T, n int) {
	t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{r.groups().Requests}
	eventually(t, fmt.Sprintf("a group of %d", n), patience, func() (bool, string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := req.RequestWith(ctx, r.client)
		if err != nil {
			return false, err.Error()
		}
		g := res.Groups[0]
		state := fmt.Sprint(g.State, " with ", len(g.Members), " members, ", kerr.ErrorForCode(g.ErrorCode))
		return g.State == "Stable" && len(g.Members) == n, state
	})
}
