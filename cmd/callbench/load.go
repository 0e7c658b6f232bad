package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// result is what one round of load saw.
type result struct {
	perSecond float64
	p50, p99  time.Duration
}

// load sends the same GET over a number of connections, one after another on
// each, as fast as answers come. The client is as thin as it can be, since it
// shares the machine with the server: it writes fixed bytes and reads no more
// of an answer than its status and length. Any status but 200 ends the round.
func load(ctx context.Context, target, token string, connections int, d time.Duration) (result, error) {
	u, err := url.Parse(target)
	if err != nil {
		return result{}, err
	}
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\n\r\n",
		u.RequestURI(), u.Host, token)
	deadline := time.Now().Add(d)
	times := make([][]time.Duration, connections)
	errs := make([]error, connections)
	began := time.Now()
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() { times[i], errs[i] = ask(ctx, u.Host, request, deadline) })
	}
	group.Wait()
	took := time.Since(began)
	if err := errors.Join(errs...); err != nil {
		return result{}, fmt.Errorf("asking %s: %w", target, err)
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	return result{
		perSecond: float64(len(all)) / took.Seconds(),
		p50:       all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

func ask(ctx context.Context, host string, request []byte, deadline time.Time) ([]time.Duration, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline.Add(10 * time.Second)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	var times []time.Duration
	// A slow machine may let a round pass before anything is asked; one
	// answer is waited for all the same, or the round would tell nothing.
	for ctx.Err() == nil && (len(times) == 0 || time.Now().Before(deadline)) {
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := skipAnswer(in); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, ctx.Err()
}

// skipAnswer reads one answer with status 200 to its end.
func skipAnswer(in *bufio.Reader) error {
	status, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(status) < 12 || string(status[9:12]) != "200" {
		rest, _ := in.Peek(in.Buffered())
		return fmt.Errorf("answer %q: %.600s", bytes.TrimSpace(status), rest)
	}
	length, chunked := 0, false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		switch {
		case len(name) == 0:
			if chunked {
				return skipChunks(in)
			}
			_, err := in.Discard(length)
			return err
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
}

func skipChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, in, size+2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}
