// Command release-desk is a Callboard plugin that works behind the scenes: it
// hears of changes, takes webhooks, runs jobs and feeds the catalog.
package main

import "github.com/callboard-dev/callboard/sdk"

func main() { sdk.Serve(New()) }
