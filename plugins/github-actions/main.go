// Command github-actions is the plugin callboard/github-actions: the workflow
// runs and jobs of an entity's repository.
package main

import "github.com/callboard-dev/callboard/sdk"

func main() { sdk.Serve(New()) }
