// Command hello is a Callboard plugin that greets: the smallest one that has
// an operation, a view, a schedule, a configuration and a store.
package main

import "github.com/callboard-dev/callboard/sdk"

func main() { sdk.Serve(New()) }
