//go:build !wasip1

package sdk

import (
	"fmt"
	"os"
)

// native is who serves plugins of this program outside a sandbox, or nothing.
// It is the registration of package process, which this package must not pull
// into every guest.
var native struct {
	cookie string
	serve  func(*Plugin)
}

// Natively makes serve what Serve does in a program that was started with the
// environment variable cookie. Package process calls it; an author has no need
// of it. It returns true, so that a package variable can hold the registration.
func Natively(cookie string, serve func(*Plugin)) bool {
	native.cookie, native.serve = cookie, serve
	return true
}

// Serve makes p the plugin of this program and, in a process that a host has
// started, serves it until that host ends the process. Otherwise there is no
// host to serve, so the program says what to do instead and exits with status 2.
func Serve(p *Plugin) {
	err := p.Err()
	if native.serve != nil && os.Getenv(native.cookie) != "" {
		native.serve(p) // calls of a plugin with a fault answer with it
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Fprintln(os.Stderr, `This is a Callboard plugin; it runs inside a portal.
  build it   callboard plugin build
  test it    callboard plugin test
  try it     callboard plugin run`)
	os.Exit(2)
}
