package proxy

import (
	"errors"
	"io"
	"net"
	"time"
)

const (
	readSize = 32 << 10
	// queueLength is how many chunks a direction of a connection has on the way at the most. With
	// latency it limits what gets through, as a receiver's window does.
	queueLength = 256
)

// pump carries one direction of one connection: read takes bytes in as they come, write gives them
// out as the wire's shape has it.
type pump struct {
	*connection
	direction Direction
	link      *link
	src, dst  *net.TCPConn
	queue     chan chunk
}

func newPump(c *connection, d Direction) *pump {
	return &pump{
		connection: c, direction: d, link: c.proxy.links[d],
		src: c.ends[d.reverse()], dst: c.ends[d], queue: make(chan chunk, queueLength),
	}
}

// chunk is what is on the way. Its bytes are delivered before the rest happens.
type chunk struct {
	data   []byte
	due    time.Time
	fire   *Armed // breaks the connection, or nil
	closed bool   // the source has said that nothing follows
	lost   bool   // the source is gone, without a word
}

// read fills the queue until the source ends or a trigger breaks the connection.
func (p *pump) read() {
	defer close(p.queue)
	buffer := make([]byte, readSize)
	var pending []byte
	for {
		n, err := p.src.Read(buffer)
		c, rest := p.scan(append(pending, buffer[:n]...))
		pending = append(pending[:0], rest...)
		if errors.Is(err, net.ErrClosed) {
			return // closed by us: the other end knows, or is not to know
		}
		if err != nil {
			c.data = append(c.data, pending...)
			c.closed, c.lost = errors.Is(err, io.EOF), !errors.Is(err, io.EOF)
		}
		if !p.push(c) || err != nil {
			return
		}
		if c.fire != nil {
			p.ignore()
			return
		}
	}
}

// push puts the chunk on its way, if there is anything in it. It is false when the connection ends.
func (p *pump) push(c chunk) bool {
	if len(c.data) == 0 && c.fire == nil && !c.closed && !c.lost {
		return true
	}
	c.due = p.link.arrival(len(c.data))
	select {
	case p.queue <- c:
		return true
	case <-p.done:
		return false
	}
}

// ignore reads on from a source that nobody listens to any more, to learn when it ends.
func (p *pump) ignore() {
	n, err := io.Copy(io.Discard, p.src)
	p.link.count(func(t *Traffic) { t.Swallowed += n })
	if !errors.Is(err, net.ErrClosed) {
		p.push(chunk{closed: true})
	}
}

// scan takes the whole messages off pending, up to one at which the connection is to break.
func (p *pump) scan(pending []byte) (c chunk, rest []byte) {
	for c.fire == nil {
		n := p.codec.length(p.direction, pending)
		if n == 0 || n > len(pending) {
			break
		}
		var deliver bool
		if deliver, c.fire = p.judge(pending[:n]); deliver {
			c.data = append(c.data, pending[:n]...)
		} else {
			p.link.count(func(t *Traffic) { t.Swallowed += int64(n) })
		}
		pending = pending[n:]
	}
	return c, pending
}

// judge tells whether a message is delivered, and which trigger fires after it, if one does. The
// client's messages are looked at for what triggers wait for, the server's for the answers that
// they keep back.
func (p *pump) judge(message []byte) (deliver bool, fire *Armed) {
	if p.direction == ToClient {
		deliver, awaited := p.codec.response(message)
		if awaited {
			return deliver, p.chosen
		}
		return deliver, nil
	}
	m := p.codec.request(message)
	if p.chosen != nil {
		return true, nil
	}
	if p.chosen = p.proxy.choose(m); p.chosen == nil {
		return true, nil
	}
	if p.chosen.When == AfterResponse {
		p.codec.await(message)
		return true, nil
	}
	return p.chosen.When == AfterRequest, p.chosen
}

// write empties the queue until the connection ends.
func (p *pump) write() {
	for c := range p.queue {
		if !p.deliver(c) {
			p.drain()
			return
		}
	}
}

// drain lets the reader end, which may wait for room in the queue. What is on the way is lost.
func (p *pump) drain() {
	for range p.queue {
	}
}

// deliver does what the chunk says once it is due. It is false when the connection has ended.
func (p *pump) deliver(c chunk) bool {
	if !p.until(c.due) {
		return false
	}
	for len(c.data) > 0 {
		n, free := p.link.reserve(len(c.data))
		if !p.until(free) || !p.send(c.data[:n]) {
			return false
		}
		c.data = c.data[n:]
	}
	if c.fire != nil {
		p.strike(c.fire)
	}
	if c.closed || c.lost {
		return p.hangUp(c.lost)
	}
	return true
}

// send delivers bytes, or swallows them. They are counted first, as of what they do.
func (p *pump) send(b []byte) bool {
	if !p.carried(int64(len(b))) {
		return false
	}
	if p.silent[p.direction].Load() {
		p.link.count(func(t *Traffic) { t.Swallowed += int64(len(b)) })
		return true
	}
	p.link.count(func(t *Traffic) { t.Passed += int64(len(b)) })
	if _, err := p.dst.Write(b); err != nil {
		p.silent[p.direction].Store(true)
		if p.closed.Load() > 0 {
			p.end() // nothing is read from there any more, so the other direction cannot tell
		}
	}
	return true
}

// carried waits while the wire holds bytes back, and silences the direction if it loses them. It is
// false when the connection ends first.
func (p *pump) carried(size int64) bool {
	for {
		shape, changed := p.link.state()
		if shape.BlackHole {
			p.silent[p.direction].Store(true)
			return true
		}
		if !shape.Hold {
			return true
		}
		p.link.count(func(t *Traffic) { t.Held += size })
		size = 0 // once is enough
		if !p.changed(changed) {
			return false
		}
	}
}

// hangUp tells the destination that the source has ended, as soon as the wire carries the news.
func (p *pump) hangUp(lost bool) bool {
	for !p.gone[p.direction].Load() {
		shape, changed := p.link.state()
		if !shape.BlackHole && !shape.Hold {
			break
		}
		if !p.changed(changed) {
			return false
		}
	}
	switch {
	case lost:
		p.end()
	case p.silent[p.direction].Load(), p.closed.Add(1) == 2:
		p.finish()
	default:
		_ = p.dst.CloseWrite() // an error means that it is closed already
	}
	return false
}

// changed waits for another shape. It is false when the connection ends first.
func (p *pump) changed(shape <-chan struct{}) bool {
	select {
	case <-shape:
		return true
	case <-p.done:
		return false
	}
}

// until waits for a time. It is false when the connection ends first.
func (p *pump) until(t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}
