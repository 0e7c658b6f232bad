package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// portal is a real portal in a process of its own, with the demo tenant.
type portal struct {
	o         options
	dir       string
	url, ops  string
	token     string
	cmd       *exec.Cmd
	log       *bytes.Buffer
	exited    chan error
	entity    string // path of one entity
	operation string // path of one plugin operation that is ready
}

func newPortal(o options, dir string) *portal { return &portal{o: o, dir: dir} }

// as returns the same portal, asked with another token.
func (p *portal) as(token string) *portal {
	other := *p
	other.token = token
	return &other
}

// start starts the process and returns when /readyz answers.
func (p *portal) start(ctx context.Context) error {
	main, ops, err := freeAddresses()
	if err != nil {
		return err
	}
	p.url, p.ops = "http://"+main, "http://"+ops
	p.cmd = exec.Command(p.o.callboard, "serve", "--data", p.data(), "--listen", main, "--ops-listen", ops,
		"--bundled", p.o.plugins, "--log-format", "json", "--demo")
	p.log = &bytes.Buffer{}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("starting the portal: %w (make build makes it)", err)
	}
	p.exited = make(chan error, 1)
	go func() { p.exited <- p.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return p.until(ctx, func() bool { code, _, err := p.get(ctx, p.ops+"/readyz"); return err == nil && code == 200 })
}

func (p *portal) data() string { return filepath.Join(p.dir, "data") }

// until polls a condition every two milliseconds, until the context or the
// process ends.
func (p *portal) until(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the portal: %w\n%s", ctx.Err(), p.log.String())
		case err := <-p.exited:
			p.exited <- err
			return fmt.Errorf("the portal ended: %w\n%s", err, p.log.String())
		case <-tick.C:
		}
	}
	return nil
}

// stop ends the process with SIGTERM and waits for it.
func (p *portal) stop() error {
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.exited:
		p.exited <- err
		return err
	case <-time.After(35 * time.Second):
		return errors.Join(errors.New("the portal did not stop within 35 s"), p.cmd.Process.Kill())
	}
}

// get asks with the token and returns status and body.
func (p *portal) get(ctx context.Context, target string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, nil, err
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// call runs the portal's command line as an admin and returns its output.
func (p *portal) call(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, p.o.callboard, args...)
	cmd.Env = append(os.Environ(), "CALLBOARD_TOKEN="+p.token)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("callboard %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// prepare makes a token, chooses an entity with live metrics and waits until
// the demo's plugins answer, so that their code is compiled and cached.
func (p *portal) prepare(ctx context.Context) error {
	token, err := p.call(ctx, "token", "create", "--data", p.data(), "--tenant", "demo", "--role", "admin", "--label", "bench")
	if err != nil {
		return err
	}
	p.token = token
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := p.until(ctx, func() bool { return p.chooseEntity(ctx) }); err != nil {
		return fmt.Errorf("choosing an entity: %w", err)
	}
	return p.until(ctx, func() bool { code, _, err := p.get(ctx, p.url+p.operation); return err == nil && code == 200 })
}

// chooseEntity takes the first component with Prometheus alerts.
func (p *portal) chooseEntity(ctx context.Context) bool {
	query := url.Values{"filter": {"kind=component,metadata.annotations.prometheus.io/alert"}, "limit": {"1"}}
	_, body, err := p.get(ctx, p.url+"/api/catalog/entities/by-query?"+query.Encode())
	var page struct {
		Items []struct {
			Metadata struct{ Namespace, Name string }
		}
	}
	if err != nil || json.Unmarshal(body, &page) != nil || len(page.Items) == 0 {
		return false
	}
	m := page.Items[0].Metadata
	if m.Namespace == "" {
		m.Namespace = "default"
	}
	p.entity = fmt.Sprintf("/api/catalog/entities/by-name/component/%s/%s", m.Namespace, m.Name)
	p.operation = fmt.Sprintf("/api/plugins/prometheus/entities/component/%s/%s/alerts", m.Namespace, m.Name)
	return true
}

// freeAddresses are two loopback addresses that nobody listens on.
func freeAddresses() (a, b string, err error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer first.Close()
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer second.Close()
	return first.Addr().String(), second.Addr().String(), nil
}
