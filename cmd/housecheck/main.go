// Command housecheck keeps the rules of the house that no published linter
// knows: who may import whom, how large things may grow, which words are
// spent, and how much of the code the tests reach. Every finding names the
// file, the line and the reason. It is for "make check" and "make test"; the
// product never calls it.
//
//	housecheck tree                     all rules over the working tree
//	housecheck coverage -floor 80 FILE  the floor over merged coverage profiles
//	housecheck testlog [-packages]      a summary of "go test -json" on standard input
package main

import (
	"fmt"
	"io"
	"os"
)

// command is one thing that housecheck does. It returns the exit code.
type command struct {
	name string
	run  func(args []string, in io.Reader, out io.Writer) int
}

// Exit codes, the same as the product's own.
const (
	exitOK    = 0
	exitFound = 1
	exitUsage = 2
)

func commands() []command {
	return []command{
		{"tree", runTree},
		{"coverage", runCoverage},
		{"testlog", runTestlog},
	}
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout))
}

func run(args []string, in io.Reader, out io.Writer) int {
	for _, c := range commands() {
		if len(args) > 0 && args[0] == c.name {
			return c.run(args[1:], in, out)
		}
	}
	fmt.Fprintln(out, "usage: housecheck tree | coverage -floor N PROFILE... | testlog")
	return exitUsage
}
