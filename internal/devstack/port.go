package devstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

const (
	lowestPort     = 10240 // below it, machines have services of their own
	firstEphemeral = 32768 // Linux's default, where the machine does not say
	portAttempts   = 100
)

// listen opens a free port of 127.0.0.1 below the ephemeral range. A port that the kernel also hands
// to outgoing connections is no good for a server that is stopped and started again: while it is
// away, a client that keeps dialling it can be given that very port, and even connect to itself.
func listen() (net.Listener, error) {
	span := ephemeralStart() - lowestPort
	for range portAttempts {
		l, err := listenOn(lowestPort + rand.IntN(span))
		if err == nil {
			return l, nil
		}
	}
	return nil, errors.New("find a free port on 127.0.0.1: none found")
}

func listenOn(port int) (net.Listener, error) {
	//nolint:noctx // listening on a number does not wait
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// ephemeralStart returns the first port that the kernel gives to outgoing connections. A machine
// that gives nearly all ports to them gets the default: there is no better choice then.
func ephemeralStart() int {
	var first int
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return firstEphemeral
	}
	if _, err := fmt.Sscan(string(text), &first); err != nil || first < lowestPort+1000 {
		return firstEphemeral
	}
	return first
}

// reservation is a port that a server process is about to listen on, or listens on.
type reservation struct {
	Port int
	held net.Listener // nil while the server has the port
}

// reserve finds a free port, or takes the given one when that is not 0, and holds it: nobody else
// can get it until release, which belongs just before the start of the server.
func reserve(port int) (reservation, error) {
	r := reservation{Port: port}
	if port != 0 {
		err := r.hold()
		return r, err
	}
	l, err := listen()
	if err != nil {
		return r, err
	}
	return reservation{Port: l.Addr().(*net.TCPAddr).Port, held: l}, nil
}

// hold takes the port again, while the server is away. A port that somebody else has is an error:
// the server could not start, and its clients would talk to a stranger.
func (r *reservation) hold() error {
	if r.held != nil {
		return nil
	}
	l, err := listenOn(r.Port)
	if err != nil {
		return fmt.Errorf("port %d: %w; choose another", r.Port, err)
	}
	r.held = l
	return nil
}

func (r *reservation) release() {
	if r.held != nil {
		_ = r.held.Close() // nothing was accepted, so nothing can be lost
		r.held = nil
	}
}
