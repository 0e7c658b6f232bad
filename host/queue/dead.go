package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/callboard-dev/callboard/host"
)

// Job is a job as operators see it.
type Job struct {
	ID       int64           `json:"id"`
	Kind     string          `json:"kind"`
	Key      string          `json:"key"`
	Args     json.RawMessage `json:"args,omitempty"`
	Attempts int             `json:"attempts"`
	// Error is that of the last attempt.
	Error string    `json:"error"`
	At    time.Time `json:"at"`
}

// Dead returns the newest dead letters: jobs that failed for good and wait for
// somebody to look. limit is at most 1000.
func (q *Queue) Dead(ctx context.Context, limit int) ([]Job, error) {
	limit = max(1, min(limit, 1000))
	params := river.NewJobListParams().First(limit).
		States(rivertype.JobStateDiscarded, rivertype.JobStateCancelled).
		OrderBy(river.JobListOrderByID, river.SortOrderDesc)
	list, err := q.insert.JobList(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("listing dead jobs: %w", err)
	}
	out := make([]Job, 0, len(list.Jobs))
	for _, row := range list.Jobs {
		out = append(out, jobOf(row))
	}
	return out, nil
}

func jobOf(row *rivertype.JobRow) Job {
	j := Job{ID: row.ID, Kind: row.Kind, Attempts: row.Attempt, At: row.CreatedAt.UTC()}
	var p payload
	if json.Unmarshal(row.EncodedArgs, &p) == nil {
		j.Key, j.Args = p.Key, compact(p.Args)
	}
	if n := len(row.Errors); n > 0 {
		j.Error, j.At = row.Errors[n-1].Error, row.Errors[n-1].At.UTC()
	}
	return j
}

// Retry runs a dead letter again, at once. An unknown id is CodeNotFound.
func (q *Queue) Retry(ctx context.Context, id int64) error {
	_, err := q.insert.JobRetry(ctx, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return host.Errorf(host.CodeNotFound, "there is no job %d", id).WithHint("list the dead jobs to see their ids")
	}
	if err != nil {
		return fmt.Errorf("retrying job %d: %w", id, err)
	}
	return nil
}
