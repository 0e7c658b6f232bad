package service

import (
	"container/list"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cached is one answer of an upstream.
type cached struct {
	instance string
	key      string
	status   int
	header   http.Header
	body     []byte
	// stored is when the upstream last said so; it is fresh until fresh.
	stored, fresh time.Time
}

func (c *cached) size() int64 {
	n := len(c.body) + len(c.key) + 256
	for k, vs := range c.header {
		n += len(k)
		for _, v := range vs {
			n += len(v)
		}
	}
	return int64(n)
}

// answerCache holds answers for a bounded number of bytes, for each instance and in
// all. What was used longest ago goes first.
type answerCache struct {
	perInstance, total int64

	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // newest first
	used  map[string]int64
	sum   int64
}

func newAnswerCache(perInstance, total int64) *answerCache {
	return &answerCache{perInstance: perInstance, total: total, byKey: map[string]*list.Element{}, order: list.New(), used: map[string]int64{}}
}

func (c *answerCache) get(key string) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached)
}

func (c *answerCache) put(a *cached) {
	size := a.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.byKey[a.key])
	if size > c.perInstance/2 {
		return
	}
	for e := c.order.Back(); e != nil && c.used[a.instance]+size > c.perInstance; {
		before := e.Prev()
		if e.Value.(*cached).instance == a.instance {
			c.drop(e)
		}
		e = before
	}
	for c.sum+size > c.total && c.order.Back() != nil {
		c.drop(c.order.Back())
	}
	c.byKey[a.key] = c.order.PushFront(a)
	c.used[a.instance] += size
	c.sum += size
}

// remove forgets an answer that may no longer be kept.
func (c *answerCache) remove(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.byKey[key])
}

// drop removes an entry; c.mu is held.
func (c *answerCache) drop(e *list.Element) {
	if e == nil {
		return
	}
	a := c.order.Remove(e).(*cached)
	delete(c.byKey, a.key)
	c.sum -= a.size()
	if c.used[a.instance] -= a.size(); c.used[a.instance] <= 0 {
		delete(c.used, a.instance)
	}
}

// directives reads a Cache-Control header.
func directives(h http.Header) map[string]string {
	out := map[string]string{}
	for _, line := range h.Values("Cache-Control") {
		for _, part := range strings.Split(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			out[strings.ToLower(name)] = strings.Trim(value, `"`)
		}
	}
	return out
}

// freshness says whether an answer may be kept, and until when it may be used
// without asking.
func freshness(h http.Header, now time.Time) (keep bool, until time.Time) {
	d := directives(h)
	if _, no := d["no-store"]; no || strings.Contains(strings.Join(h.Values("Vary"), ","), "*") {
		return false, now
	}
	if seconds, err := strconv.Atoi(d["max-age"]); err == nil && seconds > 0 {
		if _, ask := d["no-cache"]; !ask {
			age, _ := strconv.Atoi(h.Get("Age"))
			until = now.Add(time.Duration(min(seconds, 86400)-max(age, 0)) * time.Second)
		}
	}
	keep = until.After(now) || h.Get("ETag") != "" || h.Get("Last-Modified") != ""
	return keep, until
}
