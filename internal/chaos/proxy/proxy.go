// Package proxy breaks the network between a program and one server, in tests: a Postgres, or one
// broker of a Kafka. It owns a port that stands in front of the server. Every fault can be switched
// on and off while connections live, and each direction has faults of its own.
//
// There are three kinds of faults:
//
//   - Shape makes the wire bad: latency, little bandwidth, a black hole, or bytes that are held back;
//   - Reset, HalfOpen and Refuse break connections at once, or keep new ones out;
//   - Arm waits for a message of the server's protocol, such as the COMMIT of a transaction or the
//     answer to a Produce, and breaks the connection at exactly that point.
//
// It promises that bytes arrive in order and unchanged or not at all: a connection that has lost
// bytes never carries later ones. What was done is counted, so that a test can assert that its fault
// took place. After Close nothing is left: no goroutine, no connection, no port.
//
// Triggers read the protocol as it is: connections must not be encrypted. A client of Kafka follows
// the addresses that the brokers advertise, so each broker needs a proxy and has to advertise it.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Protocol is what the server behind a proxy speaks, which triggers have to understand.
type Protocol int

// The protocols.
const (
	Opaque   Protocol = iota // any; triggers never match
	Kafka                    // requests with an api key, answered in order
	Postgres                 // version 3 of the frontend/backend protocol
)

// Direction is a way through the proxy.
type Direction int

// The directions. What comes from the client goes ToServer.
const (
	ToServer Direction = iota
	ToClient
)

func (d Direction) reverse() Direction { return 1 - d }

// Side is an end of a connection through the proxy.
type Side int

// The sides, in the order of the directions towards them.
const (
	Server Side = iota
	Client
)

// Counts are what a proxy did since its start.
type Counts struct {
	Accepted   int // connections that were let in
	Refused    int // connections that were reset at once: by Refuse, or as there was no server to reach
	Reset      int // connections that Reset ended
	HalfOpened int // connections of which HalfOpen closed one side
	Cut        int // connections that a trigger cut
	Silenced   int // connections that a trigger silenced

	ToServer, ToClient Traffic
}

// Proxy stands in front of one server. Its methods may be called at any time, from any goroutine.
type Proxy struct {
	listener net.Listener
	protocol Protocol
	links    [2]*link // by Direction
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu          sync.Mutex
	target      string
	refusing    bool
	connections map[*connection]struct{}
	triggers    []*Armed
	counts      Counts // without the traffic
}

// Start listens on a free port of 127.0.0.1 and passes what arrives on to the target, host:port. The
// target may be empty and given later, to Forward: a Kafka has to know its proxy's address before it
// starts. Until then, and while the target is away, connections are refused.
func Start(target string, protocol Protocol) (*Proxy, error) {
	//nolint:noctx // listening on a number does not wait
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Proxy{
		listener: listener, protocol: protocol, target: target,
		links:       [2]*link{newLink(), newLink()},
		connections: map[*connection]struct{}{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns the address that clients connect to, host:port. It stays the same.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Forward has new connections go to the target. Those that live stay where they are.
func (p *Proxy) Forward(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Shape sets how the wire is in one direction, for all connections that are and that will be.
func (p *Proxy) Shape(d Direction, s Shape) { p.links[d].set(s) }

// Refuse keeps new connections out, or lets them in again. They are accepted and reset at once: to
// the client a server that is overloaded or about to start.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = on
}

// Heal makes the wire good in both directions and lets connections in. Connections that have lost
// bytes stay silent until one of their ends closes them, as after a real loss of state in between.
// Triggers stay armed.
func (p *Proxy) Heal() {
	p.Refuse(false)
	p.Shape(ToServer, Shape{})
	p.Shape(ToClient, Shape{})
}

// Reset ends all connections with a RST to both ends, and returns how many there were.
func (p *Proxy) Reset() int {
	all := p.living()
	p.count(func(n *Counts) { n.Reset += len(all) })
	for _, c := range all {
		c.end()
	}
	return len(all)
}

// HalfOpen closes one side of all connections, with a RST, and does not tell the other side, which
// stays open and gets no answer any more. It returns how many there were. With alive Client, the
// server has forgotten its client; with alive Server, it goes on to keep what the lost client held.
// Such a connection ends when its living side closes it, or with Reset.
func (p *Proxy) HalfOpen(alive Side) int {
	all := p.living()
	p.count(func(n *Counts) { n.HalfOpened += len(all) })
	for _, c := range all {
		c.orphan(alive)
	}
	return len(all)
}

// Connections returns how many connections are open, on one side at least.
func (p *Proxy) Connections() int { return len(p.living()) }

// Counts returns what was done since Start.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	n := p.counts
	p.mu.Unlock()
	n.ToServer, n.ToClient = p.links[ToServer].traffic(), p.links[ToClient].traffic()
	return n
}

// Close resets all connections, frees the port and waits until nothing runs any more.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	for _, c := range p.living() {
		c.end()
	}
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) count(change func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.counts)
}

func (p *Proxy) living() []*connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*connection, 0, len(p.connections))
	for c := range p.connections {
		all = append(all, c)
	}
	return all
}

// accept lets connections in until the listener is closed.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err == nil {
			p.wg.Go(func() { p.serve(client.(*net.TCPConn)) })
			continue
		}
		if p.ctx.Err() != nil {
			return
		}
		// Out of file descriptors, which tests bring about: try again when there may be some.
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.ctx.Done():
			return
		}
	}
}

// serve runs one connection to its end.
func (p *Proxy) serve(client *net.TCPConn) {
	server, err := p.reach()
	if err != nil {
		p.count(func(n *Counts) { n.Refused++ })
		reset(client)
		return
	}
	c := newConnection(p, client, server)
	if !p.admit(c) {
		c.end()
		return
	}
	c.run()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, c)
}

// admit makes the connection known, unless the proxy is about to close.
func (p *Proxy) admit(c *connection) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.connections[c] = struct{}{}
	p.counts.Accepted++
	return true
}

var errRefusing = errors.New("new connections are refused")

// reach connects to the server.
func (p *Proxy) reach() (*net.TCPConn, error) {
	p.mu.Lock()
	target, refusing := p.target, p.refusing
	p.mu.Unlock()
	if refusing || target == "" {
		return nil, errRefusing
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(p.ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// reset closes with a RST, which discards what is on the way.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // fails when the connection is closed already, which is what is wanted
	_ = conn.Close()
}
