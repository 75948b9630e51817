// Command check judges kept histories again.
//
//	go run ./internal/chaos/history/check FILE...
//
// It prints what each holds and what is wrong with it. Exit status 1 says that something is; 2 that a file could not
// be read.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"recstream/internal/chaos/history"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	limit := flags.Int("limit", 10, "how many violations of each code are printed")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		fmt.Fprintln(stderr, "usage: check [-limit N] FILE...")
		return 2
	}
	for _, path := range flags.Args() {
		h, err := history.ReadFile(path)
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", path, err)
			return 2
		}
		violations := history.Check(h)
		fmt.Fprintf(stdout, "%s: %s\n%s", path, h, history.Report(violations, *limit))
		if len(violations) > 0 {
			status = 1
		}
	}
	return status
}
