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

// reservation is a port that a server process is about to listen on.
type reservation struct {
	Port int
	held net.Listener // nil when the port was given, not found
}

// reserve finds a free port and holds it, or takes the given one as it is when port is not 0.
// Nobody else can get a held port; call release just before the server is started.
func reserve(port int) (reservation, error) {
	if port != 0 {
		return reservation{Port: port}, nil
	}
	l, err := listen()
	if err != nil {
		return reservation{}, err
	}
	return reservation{Port: l.Addr().(*net.TCPAddr).Port, held: l}, nil
}

func (r *reservation) release() {
	if r.held != nil {
		_ = r.held.Close() // nothing was accepted, so nothing can be lost
		r.held = nil
	}
}
