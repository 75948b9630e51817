package main

import (
	"github.com/spf13/cobra"

	"recstream/scoring/model"
)

func newModelVerifyCommand(m *modelCommand) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "verify MODEL",
		Short: "Put a model through its gates, and print what became of it at each",
		Long: `verify does what every instance does before it takes a model up, and prints a line a gate. A gate that has
nothing to look at is skipped. The exit status is 1 when one refuses. A model file without a bundle is taken to want the seventeen features.`,
		Example: "  recstream model verify films@2\n  recstream model verify models/films/2 -o json",
		Args:    allArgs,
		RunE:    func(_ *cobra.Command, args []string) error { return m.verify(args[0], format) },
	}
	outputVar(cmd, &format, "text", "json")
	return cmd
}

// gateResult is a gate as verify prints it.
type gateResult struct {
	Gate   string `json:"gate"`
	Result string `json:"result"` // passed, skipped, refused, not tried
	Detail string `json:"detail,omitempty"`
}

func (m *modelCommand) verify(label, format string) error {
	path, err := m.path(label)
	if err != nil {
		return err
	}
	_, gates, refusal := model.Verify(path)
	list := make([]gateResult, len(gates))
	rows := make([][]string, len(gates))
	for i, g := range gates {
		list[i] = resultOf(g)
		rows[i] = []string{list[i].Gate, list[i].Result, list[i].Detail}
	}
	if format == "json" {
		err = printJSON(m.stdout, list)
	} else {
		err = printTable(m.stdout, []string{"GATE", "RESULT", "DETAIL"}, rows)
	}
	if err != nil {
		return err
	}
	return refusal
}

func resultOf(g model.Gate) gateResult {
	switch {
	case !g.Tried:
		return gateResult{g.Name, "not tried", ""}
	case g.Err != nil:
		return gateResult{g.Name, "refused", failed("", g.Err, "").Detail}
	case g.Skipped:
		return gateResult{g.Name, "skipped", g.Found}
	}
	return gateResult{g.Name, "passed", g.Found}
}
