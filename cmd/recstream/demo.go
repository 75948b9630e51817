package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// demoSeed makes the demo's households and their requests the same in each run.
const demoSeed = 1

type demoFlags struct {
	requests int
	stay     bool
	database string
	output   string
}

func newDemoCommand(app *app) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Recommend films to made-up households, on embedded servers",
		GroupID: groupRun,
		Long: `demo runs the whole way once: an embedded Kafka and a Postgres of its own are started, a catalogue of 3,200
real films and three models are loaded, and an experiment is started: half of the households get films@1, which is
active, half films@2, and films@3 is a shadow that knows what they watched. Feedback of some evenings
makes profiles of the households; then their requests are published, decided, stored and answered, and what they
watched of the answers comes back as feedback. Some results are shown, with the SQL that an analyst would ask.
What does not add up is an error. Nothing is left behind.

Postgres runs from the server binaries of this machine; 'scripts/postgres.sh install' gets some where there
are none. With --database-url the demo makes a database on that server instead, and drops it at the end.`,
		Example: `  recstream demo
  recstream demo --requests 20000 -o json
  recstream demo --stay`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return app.demo(cmd.Context(), f) },
	}
	cmd.Flags().IntVar(&f.requests, "requests", 500, "requests to publish")
	cmd.Flags().BoolVar(&f.stay, "stay", false, "leave everything running afterwards, print the addresses, and wait for SIGINT")
	cmd.Flags().StringVar(&f.database, "database-url", "", "Postgres server to use, as postgres://…; its user may create databases")
	outputVar(cmd, &f.output, "text", "json")
	return cmd
}

func (a *app) demo(ctx context.Context, f demoFlags) (err error) {
	if f.requests < 1 {
		return usagef("--requests must be at least 1")
	}
	s, err := a.startDemo(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.load(ctx); err != nil {
		return err
	}
	stop, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	t, err := a.newDemoTraffic(s, f.requests)
	if err != nil {
		return err
	}
	if err := t.run(ctx); err != nil {
		return err
	}
	figures, err := s.figures(ctx, t)
	if err != nil {
		return err
	}
	if f.output == "json" {
		err = printJSON(a.stdout, figures)
	} else {
		err = a.printDemo(ctx, s, t, figures)
	}
	err = errors.Join(err, figures.check(t))
	if err == nil && f.stay {
		a.stayDemo(ctx, s)
	}
	return err
}
