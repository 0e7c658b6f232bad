// Package log writes structured lines to the host's log: the host service
// log/v1. The host adds plugin, release and tenant; it limits rate and size. A
// line that cannot be written is dropped: logging never fails a call.
package log

import (
	"context"
	"fmt"

	v1 "github.com/callboard-dev/callboard/schemas/service/log/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Debug writes a line that helps while developing. Fields are pairs of a key
// and a value, for example log.Debug(ctx, "read the series", "points", 42).
func Debug(ctx context.Context, message string, fields ...any) { write(ctx, "debug", message, fields) }

// Info writes a line about what was done.
func Info(ctx context.Context, message string, fields ...any) { write(ctx, "info", message, fields) }

// Warn writes a line about what an operator should look at some day.
func Warn(ctx context.Context, message string, fields ...any) { write(ctx, "warn", message, fields) }

// Error writes a line about what an operator should look at today.
func Error(ctx context.Context, message string, fields ...any) { write(ctx, "error", message, fields) }

func write(ctx context.Context, level, message string, fields []any) {
	line := v1.Line{Level: level, Message: message}
	for i := 0; i < len(fields); i += 2 {
		if line.Fields == nil {
			line.Fields = make(map[string]string, (len(fields)+1)/2)
		}
		if i+1 == len(fields) {
			line.Fields["extra"] = fmt.Sprint(fields[i])
			break
		}
		line.Fields[fmt.Sprint(fields[i])] = fmt.Sprint(fields[i+1])
	}
	_ = sdk.Do(ctx, v1.Name, v1.MethodWrite, line, nil)
}
