// Command prometheus is the plugin callboard/prometheus: the metrics and
// alerts of an entity, read from the tenant's Prometheus servers.
package main

import "github.com/callboard-dev/callboard/sdk"

func main() { sdk.Serve(New()) }
