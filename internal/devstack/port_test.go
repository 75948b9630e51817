package devstack

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	must(t, err)
	port, err := strconv.Atoi(text)
	must(t, err)
	return port
}

func TestReserveHoldsPort(t *testing.T) {
	r, err := reserve(0)
	must(t, err)
	if r.Port < lowestPort || r.Port >= ephemeralStart() {
		t.Errorf("port %d is not between %d and the ephemeral range at %d", r.Port, lowestPort, ephemeralStart())
	}
	if l, err := listenOn(r.Port); err == nil {
		l.Close()
		t.Errorf("port %d could be taken while it was held", r.Port)
	}
	r.release()
	r.release()
	l, err := listenOn(r.Port)
	must(t, err)
	l.Close()
}

func TestReserveGivenPort(t *testing.T) {
	free, err := reserve(0)
	must(t, err)
	if _, err := reserve(free.Port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port in use gives %v, want EADDRINUSE", err)
	}
	free.release()
	given, err := reserve(free.Port)
	must(t, err)
	defer given.release()
	if given.Port != free.Port {
		t.Errorf("port %d, want the given %d", given.Port, free.Port)
	}
	if given.held == nil {
		t.Error("the given port is not held")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var kept tail
	for range 100 {
		kept.Write([]byte(strings.Repeat("x", 99) + "\n"))
	}
	kept.Write([]byte("the end\n"))
	got := kept.String()
	if len(got) > tailBytes || len(got) < tailBytes/2 || !strings.HasSuffix(got, "x\nthe end") {
		t.Errorf("kept %d bytes that end in %q", len(got), got[max(0, len(got)-20):])
	}
}
