package proxy

import (
	"net"
	"sync"
	"sync/atomic"
)

// connection is a client's connection and the one to the server that was made for it.
type connection struct {
	proxy  *Proxy
	ends   [2]*net.TCPConn // by Side
	gone   [2]atomic.Bool  // by Side: we have closed it
	silent [2]atomic.Bool  // by Direction: bytes were lost, so none may follow
	closed atomic.Int32    // directions whose source has closed, as the other end was told
	codec  codec

	chosen *Armed      // the trigger that a message has set off; set once, by the client's reader
	struck atomic.Bool // it has fired

	done chan struct{} // closed when both ends are
	once sync.Once
}

func newConnection(p *Proxy, client, server *net.TCPConn) *connection {
	return &connection{
		proxy: p, ends: [2]*net.TCPConn{Server: server, Client: client},
		codec: newCodec(p.protocol), done: make(chan struct{}),
	}
}

// run passes bytes on until the connection ends.
func (c *connection) run() {
	var wg sync.WaitGroup
	for _, d := range []Direction{ToServer, ToClient} {
		p := newPump(c, d)
		wg.Go(p.read)
		wg.Go(p.write)
	}
	wg.Wait()
	c.finish()
	if c.chosen != nil && !c.struck.Load() {
		c.chosen.giveBack()
	}
}

// end closes both sides with a RST.
func (c *connection) end() { c.close(reset) }

// finish closes both sides in good order.
func (c *connection) finish() { c.close(func(conn *net.TCPConn) { _ = conn.Close() }) }

func (c *connection) close(how func(*net.TCPConn)) {
	c.once.Do(func() {
		close(c.done)
		how(c.ends[Server])
		how(c.ends[Client])
	})
}

// orphan resets the side that is not to stay alive.
func (c *connection) orphan(alive Side) {
	c.silence()
	c.lose(1 - alive)
}

// lose resets one side, of which the other is not told.
func (c *connection) lose(s Side) {
	c.gone[s].Store(true)
	reset(c.ends[s])
}

func (c *connection) silence() {
	c.silent[ToServer].Store(true)
	c.silent[ToClient].Store(true)
}

// strike does what the trigger is for. It is counted first: whoever sees it can rely on that.
func (c *connection) strike(a *Armed) {
	c.struck.Store(true)
	c.silence()
	a.hit()
	if a.Do == Silence {
		c.proxy.count(func(n *Counts) { n.Silenced++ })
		return
	}
	c.proxy.count(func(n *Counts) { n.Cut++ })
	c.lose(Client)
	_ = c.ends[Server].CloseWrite() // an error means that it is closed already
}
