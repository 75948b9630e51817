package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not before the deadline", what)
		}
	}
}

// start returns a proxy in front of the target that leaves nothing behind at the test's end.
func start(t *testing.T, target string, protocol Protocol) *Proxy {
	t.Helper()
	p, err := Start(target, protocol)
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// echo serves connections that answer each line with itself, and counts those that are open.
type echo struct {
	net.Listener
	wg   sync.WaitGroup
	mu   sync.Mutex
	open map[net.Conn]bool
	got  strings.Builder
	ends []error // how connections ended; nil is in good order
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	e := &echo{Listener: l, open: map[net.Conn]bool{}}
	e.wg.Go(e.accept)
	t.Cleanup(func() {
		l.Close()
		for _, c := range e.conns() {
			c.Close()
		}
		e.wg.Wait()
	})
	return e
}

func (e *echo) accept() {
	for {
		c, err := e.Accept()
		if err != nil {
			return
		}
		e.mu.Lock()
		e.open[c] = true
		e.mu.Unlock()
		e.wg.Go(func() { e.answer(c) })
	}
}

func (e *echo) answer(c net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.Read(buffer)
		e.mu.Lock()
		e.got.Write(buffer[:n])
		if err != nil {
			delete(e.open, c)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			e.ends = append(e.ends, err)
		}
		gone := !e.open[c]
		e.mu.Unlock()
		if gone {
			c.Close()
			return
		}
		_, _ = c.Write(buffer[:n])
	}
}

func (e *echo) conns() (all []net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.open {
		all = append(all, c)
	}
	return all
}

func (e *echo) received() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got.String()
}

func (e *echo) ended() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ends
}

// client is a connection through a proxy.
type client struct {
	*net.TCPConn
	t     *testing.T
	lines *bufio.Reader
}

func dial(t *testing.T, p *Proxy) *client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return &client{conn.(*net.TCPConn), t, bufio.NewReader(conn)}
}

func (c *client) say(line string) {
	c.t.Helper()
	_, err := c.Write([]byte(line + "\n"))
	must(c.t, err)
}

// hear waits for a line.
func (c *client) hear(want string) {
	c.t.Helper()
	must(c.t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	if got, err := c.lines.ReadString('\n'); err != nil || got != want+"\n" {
		c.t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

// hearNothing looks for a short while whether there is something to be heard.
func (c *client) hearNothing() {
	c.t.Helper()
	must(c.t, c.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
	if got, err := c.lines.ReadString('\n'); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		c.t.Fatalf("heard %q, %v; want silence", got, err)
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// isReset tells whether the connection was reset.
func (c *client) isReset() {
	c.t.Helper()
	must(c.t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	if _, err := c.lines.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("error %v, want a reset", err)
	}
}
