package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

// buffer may be written to by any number of goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestOpeningAndStartingIsSilentAtInfo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for level, loud := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
			var out buffer
			s := quick()
			s.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
			q := open(t, db, s)
			if err := q.Register("quiet", func(context.Context, json.RawMessage) error { return nil }, Options{}); err != nil {
				t.Fatal(err)
			}
			start(t, q)
			if got := out.String(); (got != "") != loud {
				t.Errorf("at %s the queue wrote %q", level, got)
			}
		}
	})
}

func TestWarningsKeepTheirLevelAndWords(t *testing.T) {
	var out buffer
	log := quieter(slog.New(slog.NewTextHandler(&out, nil))).With("job", 7).WithGroup("river")
	log.Info("swept")
	log.Warn("slow", "rows", 3)
	log.Error("broken")
	got := out.String()
	if strings.Contains(got, "swept") || !strings.Contains(got, "level=WARN msg=slow job=7 river.rows=3") || !strings.Contains(got, "level=ERROR msg=broken") {
		t.Errorf("wrote %s", got)
	}
}
