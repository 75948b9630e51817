// Command recstream is the whole program: it answers recommendation requests from Kafka, and has the
// tools to set it up, feed it and look into it. All wiring of the packages is here, one file a subcommand.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	stopBySignal(cancel)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// stopBySignal lets the first SIGINT or SIGTERM cancel, so that the work in hand is finished,
// and the second end the process at once, with the status of one that the signal ended: 130 or 143.
func stopBySignal(cancel context.CancelFunc) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		if number, ok := (<-signals).(syscall.Signal); ok {
			os.Exit(128 + int(number))
		}
	}()
}
