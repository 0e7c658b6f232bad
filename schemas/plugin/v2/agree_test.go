package plugin_test

import (
	"strings"
	"testing"

	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

func TestAgree(t *testing.T) {
	tests := map[string]struct {
		word int32
		want int
		says string
	}{
		"a guest of ABI 1":                       {1, 1, ""},
		"a guest of ABI 2":                       {2, 2, ""},
		"a newer guest that knows this host's":   {5, 2, ""},
		"one whose lowest is this host's":        {2<<16 | 7, 2, ""},
		"a guest that is too new":                {3<<16 | 3, 0, "speaks ABI 3, this host 1 to 2: upgrade the host"},
		"one with a range that is too new":       {3<<16 | 4, 0, "speaks ABI 3 to 4"},
		"a guest that says nothing":              {0, 0, "names no range"},
		"a guest whose range is the wrong way":   {3<<16 | 2, 0, "names no range"},
		"a guest with all bits set has a range":  {-1, 0, "65535"},
		"a guest that says a number without end": {-2147483648, 0, "names no range"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := v2.Agree(tt.word)
			if got != tt.want || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %d, %v; want %d, %q", got, err, tt.want, tt.says)
			}
		})
	}
}
