package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"recstream/internal/logbook"
)

// TestServeNamesItsDelivery: the mode decides what readers may rely on, so the log has it, and status.
func TestServeNamesItsDelivery(t *testing.T) {
	_, environ := startBroker(t)
	environ = append(environ, "RECSTREAM_DATABASE_URL="+startDatabase(t), "RECSTREAM_DELIVERY=at_least_once", "RECSTREAM_HTTP_LISTEN=127.0.0.1:0")
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var log logbook.Book
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"serve", "--migrate"}, environ, strings.NewReader(""), &log, &log) }()

	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for log.Count("msg=serving") == 0 {
		select {
		case status := <-ended:
			t.Fatalf("ended with status %d\n%s", status, &log)
		case <-tick.C:
		}
	}
	if log.Count("delivery=at_least_once") != 1 {
		t.Errorf("the log does not name it\n%s", &log)
	}
	address := regexp.MustCompile(`listening for HTTP" address=(\S+)`).FindStringSubmatch(log.String())
	if address == nil {
		t.Fatalf("no address\n%s", &log)
	}
	got := recstream(t, nil, "", "status", "--url", "http://"+address[1])
	if !strings.Contains(got.stdout, ", delivery at_least_once\n") {
		t.Errorf("status does not name it\n%s%s", got.stdout, got.stderr)
	}
	stop()
	if status := <-ended; status != exitOK {
		t.Errorf("status %d\n%s", status, &log)
	}
}
