package author_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is what the thread has computed so far. Unlike the wall clock it
// does not count what others do with the processor meanwhile.
func threadTime(tb testing.TB) time.Duration {
	tb.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(at.Nano())
}
