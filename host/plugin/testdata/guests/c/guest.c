// A guest for tests: see ../README.md.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extism.h"

#define GROWN (10 << 20)

typedef struct {
  const char *at;
  size_t size;
} text;

static int counter;
static char hidden[256];
static volatile int always = 1;

// input reads the call.
static text input(void) {
  size_t size = extism_input_length(), i = 0;
  char *in = malloc(size + 8);
  for (; i + 8 <= size; i += 8) {
    uint64_t word = extism_input_load_u64(i);
    memcpy(in + i, &word, 8);
  }
  for (; i < size; i++) in[i] = extism_input_load_u8(i);
  return (text){in, size};
}

// put copies bytes to the host and returns where they are.
static uint64_t put(const char *at, size_t size) {
  uint64_t offset = extism_alloc(size);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    memcpy(&word, at + i, 8);
    extism_store_u64(offset + i, word);
  }
  for (; i < size; i++) extism_store_u8(offset + i, (uint8_t)at[i]);
  return offset;
}

static int answer(const char *body, size_t size) {
  char *out = malloc(size + 16);
  memcpy(out, "{\"body\":", 8);
  memcpy(out + 8, body, size);
  out[8 + size] = '}';
  extism_output_set(put(out, size + 9), size + 9);
  free(out);
  return 0;
}

static int number(long long n) {
  char digits[32];
  return answer(digits, (size_t)snprintf(digits, sizeof digits, "%lld", n));
}

// end returns the first byte behind the JSON value at p.
static const char *end(const char *p, const char *stop) {
  int depth = 0;
  for (; p < stop; p++) {
    char c = *p;
    if (c == '"') {
      for (p++; p < stop && *p != '"'; p++)
        if (*p == '\\') p++;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      if (--depth < 0) return p;
    } else if (c == ',' && depth == 0) {
      return p;
    }
    if (depth == 0 && (c == '"' || c == '}' || c == ']')) return p + 1;
  }
  return stop;
}

// field returns the value of a key of the object in t, or nothing.
static text field(text t, const char *key) {
  const char *p = t.at + 1, *stop = t.at + t.size;
  size_t n = strlen(key);
  while (p < stop && *p == '"') {
    const char *name = p + 1, *behind = end(p, stop);
    const char *value = behind + 1;
    const char *next = end(value, stop);
    if ((size_t)(behind - name - 1) == n && memcmp(name, key, n) == 0) return (text){value, (size_t)(next - value)};
    p = next + 1;
  }
  return (text){p, 0};
}

static int is(text t, const char *s) { return t.size == strlen(s) && memcmp(t.at, s, t.size) == 0; }

static long long integer(text t) {
  long long n = 0;
  for (size_t i = 0; i < t.size && t.at[i] >= '0' && t.at[i] <= '9'; i++) n = n * 10 + (t.at[i] - '0');
  return n;
}

// chosen writes what task answers to out, which has room for it.
static size_t chosen(text body, char *out) {
  char *items = malloc(body.size + 1);
  size_t used = 0;
  long long count = 0, sum = 0;
  const char *p = body.at + 1, *stop = body.at + body.size;
  while (p < stop && *p == '{') {
    const char *behind = end(p, stop);
    text item = {p, (size_t)(behind - p)};
    if (is(field(item, "on"), "true")) {
      if (count++) items[used++] = ',';
      memcpy(items + used, item.at, item.size);
      used += item.size;
      sum += integer(field(item, "size"));
    }
    p = behind + 1;
  }
  int n = snprintf(out, 100, "{\"count\":%lld,\"sum\":%lld,\"items\":[", count, sum);
  memcpy(out + n, items, used);
  memcpy(out + n + used, "]}", 2);
  return (size_t)n + used + 2;
}

static int task(text body) {
  char *out = malloc(body.size + 128);
  return answer(out, chosen(body, out));
}

static int host(text body) {
  uint64_t offset = callboard_host(put(body.at, body.size));
  size_t size = extism_length(offset), i = 0;
  char *out = malloc(size + 8);
  for (; i + 8 <= size; i += 8) {
    uint64_t word = extism_load_u64(offset + i);
    memcpy(out + i, &word, 8);
  }
  for (; i < size; i++) out[i] = extism_load_u8(offset + i);
  return answer(out, size);
}

static int order(text body) {
  static const char head[] = "{\"service\":\"test/v1\",\"method\":\"note\",\"body\":";
  char *call = malloc(body.size + 256);
  memcpy(call, head, sizeof head - 1);
  size_t size = sizeof head - 1 + chosen(body, call + sizeof head - 1);
  call[size] = '}';
  return host((text){call, size + 1});
}

static int grow(void) {
  char *room = malloc(GROWN);
  if (!room) __builtin_trap();
  for (size_t i = 0; i < GROWN; i += 4096) room[i] = 1;
  return number(GROWN);
}

// canary hides a secret wherever a guest can keep one.
static int canary(text secret) {
  volatile char stack[256];
  size_t size = secret.size < 256 ? secret.size : 256;
  char *heap = malloc(size);
  memcpy(heap, secret.at, size);
  memcpy(hidden, secret.at, size);
  for (size_t i = 0; i < size; i++) stack[i] = secret.at[i];
  return number(stack[0] ? 1 : 0);
}

// search looks for a secret that came reversed, so that the call itself is no find.
static int search(text reversed) {
  const volatile char *memory = (const volatile char *)8;
  size_t all = (__builtin_wasm_memory_size(0) << 16) - 8;
  long long found = 0;
  for (size_t i = 0; i + reversed.size <= all; i++) {
    size_t k = 0;
    while (k < reversed.size && memory[i + k] == reversed.at[reversed.size - 1 - k]) k++;
    if (k == reversed.size && k > 0) found++;
  }
  return number(found);
}

static int work(long long n) {
  uint32_t x = 1;
  for (long long i = 0; i < n; i++) x = x * 1664525u + 1013904223u;
  return number(x);
}

__attribute__((noinline)) static int deep(int n) { return always ? deep(n + 1) / 3 + n : n; }

__attribute__((noinline)) static int doubled(int n) { return n <= 0 ? 1 : doubled(n - 1) / 3 + doubled(n - 1); }

static int ping(int n);
static int pong(int n);
static int (*volatile partner[2])(int) = {ping, pong};
static int ping(int n) { return partner[1](n + 1) / 3 + n; }
static int pong(int n) { return partner[0](n + 1) / 5 + n; }

static int bulk(void) {
  char *a = malloc(4 << 20), *b = malloc(4 << 20);
  while (always) {
    __builtin_memset(a, always, 4 << 20);
    __builtin_memcpy(b, a, 4 << 20);
  }
  return number(b[0]);
}

static int spin(void) {
  while (always) {
  }
  return number(0);
}

__attribute__((export_name("callboard_call"))) int32_t callboard_call(void) {
  text call = input();
  text method = field(call, "method"), body = field(call, "body");
  text inner = {body.at + 1, body.size >= 2 ? body.size - 2 : 0};
  if (is(method, "\"echo\"")) return answer(body.at, body.size);
  if (is(method, "\"task\"")) return task(body);
  if (is(method, "\"order\"")) return order(body);
  if (is(method, "\"count\"")) return number(++counter);
  if (is(method, "\"host\"")) return host(body);
  if (is(method, "\"grow\"")) return grow();
  if (is(method, "\"canary\"")) return canary(inner);
  if (is(method, "\"search\"")) return search(inner);
  if (is(method, "\"work\"")) return work(integer(body));
  if (is(method, "\"spin\"")) return spin();
  if (is(method, "\"recurse\"")) return number(deep(1));
  if (is(method, "\"fork\"")) return number(doubled(body.size && *body.at != 'n' ? (int)integer(body) : 60));
  if (is(method, "\"mutual\"")) return number(ping(1));
  if (is(method, "\"bulk\"")) return bulk();
  if (is(method, "\"trap\"")) __builtin_trap();
  static const char unknown[] = "{\"error\":{\"code\":\"unsupported\",\"message\":\"no such act\"}}";
  extism_output_set(put(unknown, sizeof unknown - 1), sizeof unknown - 1);
  return 0;
}
