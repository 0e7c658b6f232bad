package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// millis is a duration as figures write it.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(values []float64) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}

// question is one request that is measured beside the bare handler.
type question struct {
	name, path, goal string
}

// benchHTTP measures reads and a plugin operation through HTTP, with
// authentication, in turns with the bare handler that answers the same bytes.
func benchHTTP(ctx context.Context, o options, p *portal, emit func(figure)) error {
	questions := []question{
		{"entity_get", p.entity, ">=0.4"},
		{"entity_list", "/api/catalog/entities/by-query?limit=20", ""},
		{"plugin_operation", p.operation, ""},
	}
	for _, q := range questions {
		if err := compare(ctx, o, p, q, emit); err != nil {
			return err
		}
	}
	return nil
}

func compare(ctx context.Context, o options, p *portal, q question, emit func(figure)) error {
	code, body, err := p.get(ctx, p.url+q.path)
	if err != nil || code != 200 {
		return fmt.Errorf("asking %s: status %d, %v: %.300s", q.path, code, err, body)
	}
	bare, stop, err := startBare(ctx, p.dir, body)
	if err != nil {
		return err
	}
	defer stop()
	var bares, ours, ratios, p50, p99 []float64
	for range o.rounds {
		b, err := load(ctx, bare, "", o.connections, o.duration)
		if err != nil {
			return err
		}
		r, err := load(ctx, p.url+q.path, p.token, o.connections, o.duration)
		if err != nil {
			return err
		}
		bares, ours = append(bares, b.perSecond), append(ours, r.perSecond)
		ratios = append(ratios, r.perSecond/b.perSecond)
		p50, p99 = append(p50, millis(r.p50)), append(p99, millis(r.p99))
	}
	name := "http/" + q.name
	emit(figure{Name: name + "/bare_handler", Value: median(bares), Unit: "req/s"})
	emit(figure{Name: name, Value: median(ours), Unit: "req/s"})
	emit(figure{Name: name + "/vs_bare_handler", Value: median(ratios), Unit: "ratio", Goal: q.goal})
	emit(figure{Name: name + "/p50", Value: median(p50), Unit: "ms"})
	emit(figure{Name: name + "/p99", Value: median(p99), Unit: "ms"})
	return nil
}

// benchStart restarts the portal with its plugins' code cached. Ready means
// that an entity read and a plugin operation, sent at that moment, succeed.
func benchStart(ctx context.Context, o options, p *portal, emit func(figure)) error {
	var ready, answered []float64
	var refused error
	for range o.rounds {
		if err := p.stop(); err != nil {
			return fmt.Errorf("stopping: %w", err)
		}
		began := time.Now()
		if err := p.start(ctx); err != nil {
			return err
		}
		ready = append(ready, millis(time.Since(began)))
		for _, path := range []string{p.entity, p.operation} {
			if code, body, err := p.get(ctx, p.url+path); err != nil || code != 200 {
				refused = fmt.Errorf("%s right after ready: status %d, %v: %.300s", path, code, err, body)
			}
		}
		answered = append(answered, millis(time.Since(began)))
	}
	emit(figure{Name: "start/ready", Value: median(ready), Unit: "ms", Goal: "<=300"})
	emit(figure{Name: "start/entity_and_plugin_answered", Value: median(answered), Unit: "ms"})
	if refused != nil {
		return refused // ready was said too early
	}
	return p.until(ctx, func() bool { code, _, err := p.get(ctx, p.url+p.operation); return err == nil && code == 200 })
}

// benchMemory reads the resident memory of a portal that has served, and then
// rests with two plugins enabled.
func benchMemory(ctx context.Context, o options, p *portal, emit func(figure)) error {
	for _, path := range []string{p.entity, p.operation} {
		if _, _, err := p.get(ctx, p.url+path); err != nil {
			return err
		}
	}
	busy, err := resident(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.idle):
	}
	idle, err := resident(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	emit(figure{Name: "memory/after_use", Value: busy, Unit: "MiB"})
	emit(figure{Name: "memory/idle", Value: idle, Unit: "MiB", Goal: "<=120"})
	return nil
}

// resident is a process's resident memory in MiB.
func resident(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d shows no resident memory", pid)
}

// benchInstall installs a plugin that is already built: once while nothing of
// it is compiled, and once for a second tenant, for which its code is there.
func benchInstall(ctx context.Context, _ options, p *portal, emit func(figure)) error {
	file := filepath.Join(p.dir, "hello.callboard.tar")
	if err := p.packageHello(ctx, file); err != nil {
		return err
	}
	took, err := p.install(ctx, file)
	if err != nil {
		return err
	}
	emit(figure{Name: "install/first_answer_compiling", Value: millis(took), Unit: "ms"})
	second := p.as("")
	if _, err := p.call(ctx, "tenant", "create", "bench", "--data", p.data()); err != nil {
		return err
	}
	if second.token, err = p.call(ctx, "token", "create", "--data", p.data(), "--tenant", "bench", "--role", "admin"); err != nil {
		return err
	}
	if took, err = second.install(ctx, file); err != nil {
		return err
	}
	emit(figure{Name: "install/first_answer", Value: millis(took), Unit: "ms", Goal: "<=1000"})
	return nil
}

// install installs a package and returns the time until its operation answers.
func (p *portal) install(ctx context.Context, file string) (time.Duration, error) {
	began := time.Now()
	if _, err := p.call(ctx, "plugin", "install", file, "--server", p.url, "--yes"); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := p.until(ctx, func() bool {
		code, _, err := p.get(ctx, p.url+"/api/plugins/hello/greetings/bench")
		return err == nil && code == 200
	})
	return time.Since(began), err
}

// packageHello builds and packages the example plugin.
func (p *portal) packageHello(ctx context.Context, file string) error {
	copied := filepath.Join(p.dir, "hello-plugin")
	if err := os.RemoveAll(copied); err != nil {
		return err
	}
	if err := os.CopyFS(copied, os.DirFS(p.o.hello)); err != nil {
		return err
	}
	_, err := p.call(ctx, "plugin", "package", copied, "--out", file)
	return err
}

// benchPeer asks a Backstage backend the same two questions, where one is named.
func benchPeer(ctx context.Context, o options, p *portal, emit func(figure)) error {
	if o.peer == "" {
		return nil
	}
	questions := []question{
		{"entity_get", os.Getenv("PEER_ENTITY"), ""},
		{"entity_list", "/api/catalog/entities/by-query?limit=20", ""},
	}
	if questions[0].path == "" {
		questions[0].path = p.entity
	}
	for _, q := range questions {
		r, err := load(ctx, strings.TrimSuffix(o.peer, "/")+q.path, os.Getenv("PEER_TOKEN"), o.connections, o.duration)
		if err != nil {
			return err
		}
		emit(figure{Name: "peer/" + q.name, Value: r.perSecond, Unit: "req/s"})
		emit(figure{Name: "peer/" + q.name + "/p99", Value: millis(r.p99), Unit: "ms"})
	}
	if o.peerPID > 0 {
		mib, err := resident(o.peerPID)
		if err != nil {
			return err
		}
		emit(figure{Name: "peer/memory", Value: mib, Unit: "MiB"})
	}
	return nil
}
