package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startPrometheus runs a real Prometheus on loopback, with an hour of history
// and the alerting rules of testdata/rules.yml, and returns its URL once its
// alerts are evaluated.
func startPrometheus(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing: install the package prometheus", program)
			}
			t.Skipf("%s is missing: install the package prometheus", program)
		}
	}
	dir := t.TempDir()
	backfill(t, dir)
	rules, err := filepath.Abs("testdata/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := "global: {evaluation_interval: 1s}\nrule_files: [" + rules + "]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=warn")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	waitFor(t, "http://"+addr+"/-/ready", func(string) bool { return true })
	waitFor(t, "http://"+addr+"/api/v1/alerts", func(body string) bool {
		return strings.Contains(body, `"state":"firing"`) && strings.Contains(body, `"state":"pending"`)
	})
	return "http://" + addr
}

// backfill writes an hour of samples, up to the next minute, into Prometheus's
// own storage, so that nothing has to be waited for.
func backfill(t *testing.T, dir string) {
	t.Helper()
	var b strings.Builder
	now := time.Now().Truncate(15 * time.Second)
	family := func(name, kind, labels string, value func(age time.Duration) float64) {
		if !strings.Contains(b.String(), "# TYPE "+strings.TrimSuffix(name, "_total")+" ") {
			fmt.Fprintf(&b, "# TYPE %s %s\n", strings.TrimSuffix(name, "_total"), kind)
		}
		for age := time.Hour; age >= -time.Minute; age -= 15 * time.Second {
			fmt.Fprintf(&b, "%s%s %g %d\n", name, labels, value(age), now.Add(-age).Unix())
		}
	}
	family("curtain_requests_total", "counter", `{instance="left"}`, func(age time.Duration) float64 { return 2 * (time.Hour - age).Seconds() })
	family("curtain_requests_total", "counter", `{instance="right"}`, func(age time.Duration) float64 { return 5 * (time.Hour - age).Seconds() })
	family("curtain_stuck", "gauge", `{instance="left",house="old"}`, func(time.Duration) float64 { return 1 })
	family("lamp_celsius", "gauge", `{lamp="front"}`, func(age time.Duration) float64 { return 85 + math.Sin(age.Minutes()) })
	b.WriteString("# EOF\n")
	in := filepath.Join(dir, "history.txt")
	if err := os.WriteFile(in, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "tsdb", "create-blocks-from", "openmetrics", in, filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waitFor asks url until it answers 200 with a body that is good.
func waitFor(t *testing.T, url string, good func(body string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := "no answer"
	for {
		if resp, err := http.Get(url); err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if last = string(body); resp.StatusCode == http.StatusOK && good(last) {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not answer as expected; last: %s", url, last)
		case <-tick.C:
		}
	}
}
