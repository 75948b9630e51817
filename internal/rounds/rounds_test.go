package rounds_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"recstream/internal/rounds"
	"recstream/internal/rounds/roundstest"
)

// program measures how long nothing takes.
func program(turn time.Duration) rounds.Program {
	return func(ctx context.Context, args []string, _, stderr io.Writer) error {
		o := rounds.Options{Rounds: 3, Turn: turn}
		if err := o.Parse(rounds.Flags("program", stderr), args); err != nil {
			return err
		}
		figures := o.Figures()
		ns, err := o.TakeTurns(ctx, func() error { return nil })
		if err != nil {
			return err
		}
		figures.Add("ns", "nothing", rounds.SpreadOf(ns[0]))
		return figures.Write(o.Out)
	}
}

func TestProgram(t *testing.T) {
	figures, _ := roundstest.Run(t, program(time.Second))
	if figures["rounds"] != 1.0 || figures["cpus"] == nil || figures["go"] == nil {
		t.Errorf("how it was measured is not told: %v", figures)
	}
	for _, key := range []string{"ns_nothing", "ns_min_nothing", "ns_max_nothing"} {
		if v, _ := figures[key].(float64); !(v > 0) {
			t.Errorf("%s is %v", key, figures[key])
		}
	}
	roundstest.Refuses(t, program(time.Millisecond))
}

// A benchmark without turns has no flag for them.
func TestParseWithoutTurns(t *testing.T) {
	o := rounds.Options{Rounds: 5}
	if err := o.Parse(rounds.Flags("program", io.Discard), []string{"-turn", "1s"}); err == nil {
		t.Error("-turn is taken")
	}
	if err := o.Parse(rounds.Flags("program", io.Discard), []string{"-out", "f.json"}); err != nil || o != (rounds.Options{Rounds: 5, Out: "f.json"}) {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestTakeTurns(t *testing.T) {
	o, broken := rounds.Options{Rounds: 4, Turn: time.Microsecond}, errors.New("broken")
	ns, err := o.TakeTurns(t.Context(), func() error { return nil }, func() error { return nil })
	if err != nil || len(ns) != 2 || len(ns[0]) != 4 || len(ns[1]) != 4 {
		t.Errorf("%v, %v", ns, err)
	}
	if _, err := o.TakeTurns(t.Context(), func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := o.TakeTurns(ended, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the context's end", err)
	}
}

func TestFigures(t *testing.T) {
	f := rounds.Figures{"text": "a"}
	f.Add("us", "x", rounds.Spread{Median: 1.005, Least: 0.123, Largest: 2.346})
	path := filepath.Join(t.TempDir(), "f.json")
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	got := roundstest.Read(t, path)
	for key, want := range map[string]any{"text": "a", "us_x": 1.0, "us_min_x": 0.12, "us_max_x": 2.35} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if err := f.Write(t.TempDir()); err == nil {
		t.Error("figures were written to a directory")
	}
	if err := f.Write(""); err != nil {
		t.Errorf("figures that nobody wants: %v", err)
	}
}

func TestSpreadText(t *testing.T) {
	s := rounds.Ratio([]float64{1, 4, 9}, []float64{1, 2, 3})
	if got, want := s.Text(3), "2 (1–3)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := (rounds.Spread{Median: 12.345, Least: 1.2345, Largest: 1234.5}).Text(3), "12.3 (1.23–1.23e+03)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
