package main

import (
	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/author"
)

// authorCommands returns the plugin authors' commands; they live in a package
// of their own, because they share nothing with a server.
func authorCommands() []*cobra.Command {
	return author.Commands(author.Settings{Usage: func(err error) error { return usageError{err} }})
}
