package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// refused tells whether a new connection is reset at once, be it as early as in the dialling.
func refused(t *testing.T, p *Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("error %v of a new connection, want a reset", err)
	}
}

func TestPassesOn(t *testing.T) {
	e := startEcho(t)
	p := start(t, e.Addr().String(), Opaque)
	c := dial(t, p)
	c.say("one")
	c.hear("one")
	must(t, c.CloseWrite())
	if _, err := c.lines.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("error %v after the end, want EOF", err)
	}
	eventually(t, "the connection ends", func() bool { return p.Connections() == 0 })
	if ends := e.ended(); len(ends) != 1 || ends[0] != nil {
		t.Errorf("the server saw the ends %v, want one in good order", ends)
	}
	n := p.Counts()
	if n.Accepted != 1 || n.ToServer.Passed != 4 || n.ToClient.Passed != 4 || n.ToServer.Swallowed != 0 {
		t.Errorf("counts %+v", n)
	}
}

func TestLargeStreamArrivesWhole(t *testing.T) {
	e := startEcho(t)
	p := start(t, e.Addr().String(), Opaque)
	p.Shape(ToServer, Shape{Latency: time.Millisecond, Jitter: 5 * time.Millisecond})
	c := dial(t, p)
	text := strings.Repeat("0123456789abcde\n", 1<<16)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = c.Write([]byte(text))
		_ = c.CloseWrite()
	})
	got, err := io.ReadAll(c)
	wg.Wait()
	must(t, err)
	if string(got) != text {
		t.Errorf("%d bytes came back, not the %d that were sent", len(got), len(text))
	}
}

func TestForward(t *testing.T) {
	p := start(t, "", Opaque)
	refused(t, p)
	p.Forward("127.0.0.1:1") // nobody is there
	refused(t, p)
	p.Forward(startEcho(t).Addr().String())
	c := dial(t, p)
	c.say("one")
	c.hear("one")
	if n := p.Counts(); n.Refused != 2 || n.Accepted != 1 {
		t.Errorf("counts %+v, want 2 refused and 1 accepted", n)
	}
}

func TestRefuse(t *testing.T) {
	p := start(t, startEcho(t).Addr().String(), Opaque)
	old := dial(t, p)
	old.say("one")
	old.hear("one")
	p.Refuse(true)
	refused(t, p)
	old.say("two")
	old.hear("two")
	p.Refuse(false)
	again := dial(t, p)
	again.say("three")
	again.hear("three")
}

func TestReset(t *testing.T) {
	e := startEcho(t)
	p := start(t, e.Addr().String(), Opaque)
	c := dial(t, p)
	c.say("one")
	c.hear("one")
	if n := p.Reset(); n != 1 {
		t.Errorf("%d connections reset, want 1", n)
	}
	c.isReset()
	eventually(t, "the server notices", func() bool { return len(e.ended()) == 1 })
	if err := e.ended()[0]; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v, want a reset", err)
	}
}

func TestHalfOpen(t *testing.T) {
	tests := map[string]struct {
		alive Side
		check func(*testing.T, *Proxy, *client, *echo)
	}{
		"the server has forgotten its client": {Client, func(t *testing.T, p *Proxy, c *client, e *echo) {
			eventually(t, "the server's side closes", func() bool { return len(e.ended()) == 1 })
			c.say("two")
			c.hearNothing()
			c.Close()
		}},
		"the server does not know of the loss": {Server, func(t *testing.T, p *Proxy, c *client, e *echo) {
			c.isReset()
			if n := len(e.conns()); n != 1 {
				t.Errorf("the server has %d connections, want 1", n)
			}
			e.conns()[0].Close()
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := startEcho(t)
			p := start(t, e.Addr().String(), Opaque)
			c := dial(t, p)
			c.say("one")
			c.hear("one")
			if n := p.HalfOpen(tt.alive); n != 1 || p.Connections() != 1 {
				t.Errorf("%d connections half open and %d in all, want 1 and 1", n, p.Connections())
			}
			tt.check(t, p, c, e)
			eventually(t, "the living side's end ends it", func() bool { return p.Connections() == 0 })
			if n := p.Counts().HalfOpened; n != 1 {
				t.Errorf("%d counted, want 1", n)
			}
		})
	}
}

func TestLatency(t *testing.T) {
	for name, d := range map[string]Direction{"to server": ToServer, "to client": ToClient} {
		t.Run(name, func(t *testing.T) {
			p := start(t, startEcho(t).Addr().String(), Opaque)
			c := dial(t, p)
			p.Shape(d, Shape{Latency: 50 * time.Millisecond, Jitter: 10 * time.Millisecond})
			begin := time.Now()
			c.say("one")
			c.hear("one")
			if took := time.Since(begin); took < 50*time.Millisecond {
				t.Errorf("the answer took %v, want 50 ms at least", took)
			}
			p.Heal()
			c.say("two")
			c.hear("two")
			delayed := [2]int64{p.Counts().ToServer.Delayed, p.Counts().ToClient.Delayed}
			if delayed[d] != 4 || delayed[d.reverse()] != 0 {
				t.Errorf("delayed bytes %v, want 4 in the one direction", delayed)
			}
		})
	}
}

func TestBandwidthIsShared(t *testing.T) {
	p := start(t, startEcho(t).Addr().String(), Opaque)
	p.Shape(ToServer, Shape{BytesPerSecond: Megabit})
	const size = 10_000 // each of two: 160 ms at 1 Mbit/s
	begin := time.Now()
	var wg sync.WaitGroup
	for range 2 {
		c := dial(t, p)
		wg.Go(func() {
			_, _ = c.Write(make([]byte, size))
			_, _ = io.ReadFull(c, make([]byte, size))
		})
	}
	wg.Wait()
	if took := time.Since(begin); took < 150*time.Millisecond || took > 5*time.Second {
		t.Errorf("20 kB took %v, want about 160 ms", took)
	}
	if n := p.Counts(); n.ToServer.Limited != 2*size || n.ToClient.Passed != 2*size {
		t.Errorf("counts %+v, want %d bytes limited and as many back", n, 2*size)
	}
}

func TestBlackHole(t *testing.T) {
	for name, d := range map[string]Direction{"to server": ToServer, "to client": ToClient} {
		t.Run(name, func(t *testing.T) {
			e := startEcho(t)
			p := start(t, e.Addr().String(), Opaque)
			idle, busy := dial(t, p), dial(t, p)
			for _, c := range []*client{idle, busy} {
				c.say("hello")
				c.hear("hello")
			}
			p.Shape(d, Shape{BlackHole: true})
			late := dial(t, p)
			for _, c := range []*client{busy, late} {
				c.say("lost")
				c.hearNothing()
			}
			if got := strings.Contains(e.received(), "lost"); got != (d == ToClient) {
				t.Errorf("the server has got it: %v", got)
			}
			p.Heal()
			for _, c := range []*client{busy, late} {
				c.say("out of step")
				c.hearNothing()
				c.Close()
			}
			idle.say("one")
			idle.hear("one")
			eventually(t, "what lost bytes ends with its client", func() bool { return p.Connections() == 1 })
		})
	}
}

func TestBlackHoleSwallowsTheEnd(t *testing.T) {
	e := startEcho(t)
	p := start(t, e.Addr().String(), Opaque)
	c := dial(t, p)
	c.say("one")
	c.hear("one")
	p.Shape(ToServer, Shape{BlackHole: true})
	c.Close()
	silent := dial(t, p) // later than the end above, which nothing else tells of
	silent.say("two")
	eventually(t, "bytes are swallowed", func() bool { return p.Counts().ToServer.Swallowed == 4 })
	if n := len(e.ended()); n != 0 {
		t.Errorf("the server saw %d ends through a black hole", n)
	}
	p.Heal()
	eventually(t, "the server learns of the end", func() bool { return len(e.ended()) == 1 })
}

func TestHoldLosesNothing(t *testing.T) {
	e := startEcho(t)
	p := start(t, e.Addr().String(), Opaque)
	c := dial(t, p)
	p.Shape(ToServer, Shape{Hold: true})
	c.say("one")
	c.hearNothing()
	if got := e.received(); got != "" {
		t.Errorf("the server has got %q", got)
	}
	p.Heal()
	c.hear("one")
	if n := p.Counts().ToServer; n.Held != 4 || n.Swallowed != 0 {
		t.Errorf("counts %+v, want 4 bytes held", n)
	}
}

func TestCloseEndsWhatIsStuck(t *testing.T) {
	shapes := map[string]Shape{
		"held":      {Hold: true},
		"swallowed": {BlackHole: true},
		"slow":      {BytesPerSecond: 1},
		"far":       {Latency: time.Hour},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			p := start(t, startEcho(t).Addr().String(), Opaque)
			p.Shape(ToServer, shape)
			c := dial(t, p)
			c.say("one")
			must(t, p.Close())
			c.isReset()
			must(t, p.Close()) // twice is no error
		})
	}
}
