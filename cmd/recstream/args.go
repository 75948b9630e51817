package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// allArgs accepts as many arguments as the command's usage names, and says which is missing.
func allArgs(cmd *cobra.Command, args []string) error {
	names := strings.Fields(cmd.Use)[1:]
	if len(args) < len(names) {
		return fmt.Errorf("%s is missing; usage: %s", names[len(args)], cmd.UseLine())
	}
	return cobra.ExactArgs(len(names))(cmd, args)
}
