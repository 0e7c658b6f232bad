package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/callboard-dev/callboard/host"
)

// schedule is a job that comes again and again.
type schedule struct {
	kind     string
	interval time.Duration
	args     json.RawMessage
}

// scheduleMark is in the keys of scheduled jobs, before the name.
const scheduleMark = "every "

// Every runs a job of the kind once in each interval, on one of the hosts, as
// long as it is called at every start. The moments are fixed by name and
// interval, spread over the interval so that many schedules do not run at
// once; a run that was missed while every host was down is made up for once.
// Calling it again with the same name replaces the schedule. The interval is at
// least a second.
func (q *Queue) Every(ctx context.Context, name string, interval time.Duration, kind string, args json.RawMessage) error {
	if interval < time.Second || name == "" {
		return host.Errorf(host.CodeInvalid, "the schedule %q has the interval %s", name, interval).WithHint("name it and use a second or more")
	}
	s := schedule{kind: kind, interval: interval, args: args}
	q.mu.Lock()
	q.schedules[name] = s
	q.mu.Unlock()
	return q.enqueueSlot(ctx, name, s, q.settings.Now())
}

// Cancel ends a schedule in this process. The job that waits already is
// dropped when its time comes.
func (q *Queue) Cancel(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.schedules, name)
}

// enqueueSlot keeps the job of the first moment of the schedule after now. All
// hosts compute the same moment and key, so there is one job.
func (q *Queue) enqueueSlot(ctx context.Context, name string, s schedule, now time.Time) error {
	at := slot(name, s.interval, now)
	key := fmt.Sprintf("%s%s@%s#%d", scheduleMark, name, s.interval, at.UnixMilli())
	return q.Enqueue(ctx, s.kind, key, s.args, at)
}

// slot returns the first moment after now of a schedule: multiples of the
// interval, moved by a part of it that the name decides.
func slot(name string, interval time.Duration, now time.Time) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	shift := time.Duration(h.Sum64() % uint64(interval)).Truncate(time.Millisecond)
	at := now.Add(-shift).Truncate(interval).Add(shift)
	for !at.After(now) {
		at = at.Add(interval)
	}
	return at.UTC()
}

// next keeps the following job of a schedule before this one runs, so that a
// failing run does not end the schedule. It is false for a job whose schedule
// is no more.
func (q *Queue) next(ctx context.Context, job *rivertype.JobRow, p payload) (bool, error) {
	rest, ok := strings.CutPrefix(p.Key, scheduleMark)
	end := strings.LastIndexByte(rest, '@')
	if !ok || job.Attempt > 1 || end < 0 {
		return true, nil
	}
	name := rest[:end]
	q.mu.Lock()
	s, ok := q.schedules[name]
	q.mu.Unlock()
	if !ok || !strings.HasPrefix(rest[end:], "@"+s.interval.String()+"#") {
		return false, nil
	}
	return true, q.enqueueSlot(ctx, name, s, q.settings.Now())
}
