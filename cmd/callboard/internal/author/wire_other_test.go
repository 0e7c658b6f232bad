//go:build !linux

package author_test

import (
	"testing"
	"time"
)

// threadTime falls back to the wall clock.
func threadTime(testing.TB) time.Duration { return time.Duration(time.Now().UnixNano()) }
