//go:build !wasip1

package sdk

import (
	"fmt"
	"os"
)

// Serve makes p the plugin of this program. Outside a sandbox there is no host
// to serve, so a natively built plugin says what to do instead and exits with
// status 2.
func Serve(p *Plugin) {
	if err := p.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Fprintln(os.Stderr, `This is a Callboard plugin; it runs inside a portal.
  build it   callboard plugin build
  test it    callboard plugin test
  try it     callboard plugin run`)
	os.Exit(2)
}
