package proxy

import (
	"regexp"
	"slices"
	"sync"
)

// Message is a client's message, as its protocol has it.
type Message struct {
	// API is the api key of a Kafka request.
	API int16
	// Type is the type byte of a Postgres message; 0 is the first one, which has none.
	Type byte
	// Text is the SQL of a Postgres Query or Parse, and that which an Execute runs.
	Text string
	// Bytes are the whole message, to look into; they are not to be kept.
	Bytes []byte
}

// Match tells which messages a trigger waits for.
type Match func(Message) bool

// API matches Kafka's requests with one of the api keys. Those that write are Produce 0,
// InitProducerId 22, AddPartitionsToTxn 24, AddOffsetsToTxn 25, EndTxn 26 and TxnOffsetCommit 28.
func API(keys ...int16) Match {
	return func(m Message) bool { return slices.Contains(keys, m.API) }
}

// Statement matches where Postgres is told to run SQL that the pattern is found in: a Query, or an
// Execute of what was prepared. It panics if the pattern is no regular expression.
func Statement(pattern string) Match {
	expr := regexp.MustCompile(pattern)
	return func(m Message) bool {
		return (m.Type == 'Q' || m.Type == 'E') && expr.MatchString(m.Text)
	}
}

// Stage is when a trigger fires, counted from the message that it waited for.
type Stage int

// The stages.
const (
	// BeforeRequest: the server never sees the message.
	BeforeRequest Stage = iota
	// AfterRequest: the message is on its way to the server, whose answer is not waited for. What it
	// asks for is likely done, perhaps only after the client has come back; but a client that cancels
	// what it cannot wait for, as pgx does on another connection, may be in time.
	AfterRequest
	// AfterResponse: the server has done and answered it, and the client does not get the answer. Of
	// Postgres it gets nothing from the message on: the answer ends with the next ReadyForQuery.
	AfterResponse
)

// Action is what a trigger does to the connection.
type Action int

// The actions.
const (
	// Cut resets the client's side, and closes the server's in good order, so that the server reads
	// all that was sent before.
	Cut Action = iota
	// Silence keeps both sides open and passes nothing on any more: the client has to give up by
	// itself. The server is told when it does.
	Silence
)

// Trigger breaks connections at messages.
type Trigger struct {
	Match Match
	// Skip is how many messages that match are let through first.
	Skip int
	// Times is how often it fires; 0 is once. It fires once a connection at the most.
	Times int
	When  Stage
	Do    Action
}

// Armed is a trigger in force.
type Armed struct {
	Trigger
	proxy *Proxy
	done  chan struct{}

	mu    sync.Mutex
	skip  int // messages still to be let through
	ready int // how often it may still be chosen
	fired int
	off   bool
}

// Arm puts a trigger in force. Of several that match a message, the first that was armed fires.
func (p *Proxy) Arm(t Trigger) *Armed {
	t.Times = max(t.Times, 1)
	a := &Armed{Trigger: t, proxy: p, done: make(chan struct{}), skip: t.Skip, ready: t.Times}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.triggers = append(p.triggers, a)
	return a
}

// Fired returns how many connections it has broken.
func (a *Armed) Fired() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fired
}

// Done is closed when it has fired as often as it was to.
func (a *Armed) Done() <-chan struct{} { return a.done }

// Disarm takes it out of force.
func (a *Armed) Disarm() {
	a.mu.Lock()
	a.off = true
	a.mu.Unlock()
	a.proxy.mu.Lock()
	defer a.proxy.mu.Unlock()
	a.proxy.triggers = slices.DeleteFunc(a.proxy.triggers, func(b *Armed) bool { return a == b })
}

// choose returns the trigger that the message sets off, or nil. Who gets one either fires it or
// gives it back.
func (p *Proxy) choose(m Message) *Armed {
	p.mu.Lock()
	triggers := slices.Clone(p.triggers)
	p.mu.Unlock()
	for _, a := range triggers {
		if a.takes(m) {
			return a
		}
	}
	return nil
}

func (a *Armed) takes(m Message) bool {
	if !a.Match(m) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.off || a.ready == 0 {
		return false
	}
	if a.skip > 0 {
		a.skip--
		return false
	}
	a.ready--
	return true
}

// giveBack undoes a choice: its connection ended before the trigger could fire.
func (a *Armed) giveBack() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready++
}

func (a *Armed) hit() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fired++
	if a.fired == a.Times {
		close(a.done)
	}
}
