package manifest

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// MinEvery is the shortest interval of a schedule.
const MinEvery = time.Minute

// Bytes reads a size like "64MiB" (B, KiB, MiB or GiB).
func Bytes(s string) (int64, error) {
	for _, unit := range []struct {
		suffix string
		bytes  int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}} {
		digits, ok := strings.CutSuffix(s, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64/unit.bytes {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, host.Errorf(host.CodeInvalid, "%q is not a size", s).WithHint("write a whole number and B, KiB, MiB or GiB, for example 64MiB")
}

// FormatBytes writes a size as Bytes reads it, in the largest unit that
// divides it.
func FormatBytes(n int64) string {
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
