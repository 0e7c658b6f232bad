// Command generated does the task through the SDK: ABI 2 and generated codecs.
package main

import (
	"github.com/callboard-dev/callboard/host/plugin/testdata/guests/wire/task"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/kv"
	"github.com/callboard-dev/callboard/sdk/route"
)

func main() { sdk.Serve(sdk.New(route.HandleJSON("bill", bill))) }

func bill(ctx *sdk.Context, _ route.Request, in task.Order) (task.Bill, error) {
	var p task.Prices
	if _, err := kv.GetJSON(ctx, "prices", &p); err != nil {
		return task.Bill{}, err
	}
	return task.Work(in, p)
}
