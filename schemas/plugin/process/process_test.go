package process_test

import (
	"os"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/schemas/plugin/process"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

func TestIsHostCallTellsTheMessagesOfAGuestApart(t *testing.T) {
	for name, tt := range map[string]struct {
		message []byte
		want    bool
	}{
		"a host call": {v2.AppendHostCall(nil, v1.HostCall{Service: "kv/v1", Method: "get"}), true},
		"a result":    {v2.AppendResult(nil, v1.Result{Body: []byte(`1`)}), false},
		"a call":      {v2.AppendCall(nil, v1.Call{Method: "handle"}), false},
		"nothing":     {nil, false},
		"a beginning": {[]byte{0xCB, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := process.IsHostCall(tt.message); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestTheProtoNamesWhatIsServed(t *testing.T) {
	proto, err := os.ReadFile("guest.proto")
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(process.Service, ".")
	for _, line := range []string{
		"package " + process.Service[:at] + ";", "service " + process.Service[at+1:] + " {",
		"rpc " + process.Method + "(stream google.protobuf.BytesValue) returns (stream google.protobuf.BytesValue);",
	} {
		if !strings.Contains(string(proto), line) {
			t.Errorf("guest.proto lacks %q", line)
		}
	}
	if process.Protocol != v2.ABI {
		t.Errorf("protocol %d carries ABI %d", process.Protocol, v2.ABI)
	}
}
