// Command callboard is the whole product in one binary: the server, the
// operators' commands on its data, the admins' client and the plugin authors'
// tools.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/callboard-dev/callboard/host/plugin/process/shim"
)

func main() {
	if shim.Wanted(os.Args) {
		os.Exit(shim.Run(os.Args)) // a plugin's process begins here
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
