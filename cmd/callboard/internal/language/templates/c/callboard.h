// callboard.h: what a Callboard plugin in C needs to speak with its host. It is
// all in this file; change it as you like.
//
// A plugin lists what it offers and hands the lists over:
//
//   static void hello(cb_call *call) { cb_respond(call, 200, "{\"text\":\"hello\"}"); }
//   static const cb_handler routes[] = {{"hello", hello}, {0}};
//   static const cb_handler views[] = {{0}};
//   CALLBOARD_PLUGIN(routes, views)
//
// JSON stays text: cb_get looks into it, cb_add and cb_quote write it. Each call
// runs in a world of its own that is gone afterwards, so nothing is ever freed,
// and no variable keeps its value.
#ifndef CALLBOARD_H
#define CALLBOARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// --- JSON that is read ---

// A JSON value, as it stands in a text. Nothing has the size 0.
typedef struct {
  const char *at;
  size_t size;
} cb_json;

// cb_end returns the first byte behind the JSON value at p.
static const char *cb_end(const char *p, const char *stop) {
  int depth = 0;
  for (; p < stop; p++) {
    if (*p == '"') {
      for (p++; p < stop && *p != '"'; p++)
        if (*p == '\\') p++;
      if (depth == 0) return p + 1;
    } else if (*p == '{' || *p == '[') {
      depth++;
    } else if (*p == '}' || *p == ']') {
      if (--depth < 0) return p;
      if (depth == 0) return p + 1;
    } else if (depth == 0 && (*p == ',' || *p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
      return p;
    }
  }
  return stop;
}

// cb_space goes past white space, and past one more byte if it is c.
static const char *cb_space(const char *p, const char *stop, char c) {
  int more = c != 0;
  for (; p < stop; p++) {
    if (more && *p == c)
      more = 0;
    else if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t')
      break;
  }
  return p;
}

// cb_get returns the value of a key of an object, or nothing.
static cb_json cb_get(cb_json object, const char *key) {
  const char *p = object.at, *stop = object.at + object.size;
  size_t size = strlen(key);
  if (object.size < 2 || *p != '{') return (cb_json){0, 0};
  p = cb_space(p + 1, stop, 0);
  while (p < stop && *p == '"') {
    const char *name = p + 1, *behind = cb_end(p, stop);
    const char *value = cb_space(behind, stop, ':'), *next = cb_end(value, stop);
    if ((size_t)(behind - name) == size + 1 && memcmp(name, key, size) == 0) return (cb_json){value, (size_t)(next - value)};
    p = cb_space(next, stop, ',');
  }
  return (cb_json){0, 0};
}

static unsigned cb_hex(const char *p) {
  unsigned v = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    v = v * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  }
  return v;
}

static char *cb_utf8(char *out, unsigned c) {
  if (c < 0x80) {
    *out++ = (char)c;
  } else if (c < 0x800) {
    *out++ = (char)(0xc0 | c >> 6), *out++ = (char)(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *out++ = (char)(0xe0 | c >> 12), *out++ = (char)(0x80 | (c >> 6 & 63)), *out++ = (char)(0x80 | (c & 63));
  } else {
    *out++ = (char)(0xf0 | c >> 18), *out++ = (char)(0x80 | (c >> 12 & 63));
    *out++ = (char)(0x80 | (c >> 6 & 63)), *out++ = (char)(0x80 | (c & 63));
  }
  return out;
}

// cb_string returns what a JSON string says, as UTF-8 that ends with 0; "" for
// what is no string.
static char *cb_string(cb_json value) {
  char *text = malloc(value.size + 1), *out = text;
  const char *p = value.at, *stop = value.at + value.size;
  if (value.size < 2 || *p != '"') stop = p;
  for (p++; p + 1 < stop; p++) {
    if (*p != '\\') {
      *out++ = *p;
      continue;
    }
    switch (*++p) {
      case 'b': *out++ = '\b'; break;
      case 'f': *out++ = '\f'; break;
      case 'n': *out++ = '\n'; break;
      case 'r': *out++ = '\r'; break;
      case 't': *out++ = '\t'; break;
      case 'u': {
        if (stop - p < 6) break;
        unsigned c = cb_hex(p + 1);
        p += 4;
        if (c >= 0xd800 && c < 0xdc00 && stop - p > 7 && p[1] == '\\' && p[2] == 'u') {
          c = 0x10000 + ((c - 0xd800) << 10) + (cb_hex(p + 3) - 0xdc00);
          p += 6;
        }
        out = cb_utf8(out, c);
        break;
      }
      default: *out++ = *p;
    }
  }
  *out = 0;
  return text;
}

// --- JSON that is written ---

// A text that grows. It begins as {0}.
typedef struct {
  char *at;
  size_t size, room;
} cb_text;

static void cb_bytes(cb_text *out, const char *at, size_t size) {
  if (out->size + size + 1 > out->room) {
    out->room = (out->size + size + 1) * 2;
    out->at = realloc(out->at, out->room);
    if (!out->at) __builtin_trap();
  }
  if (size) memcpy(out->at + out->size, at, size);
  out->size += size;
  out->at[out->size] = 0;
}

// cb_add adds text as it is.
static void cb_add(cb_text *out, const char *text) { cb_bytes(out, text, strlen(text)); }

// cb_quote adds text as a JSON string.
static void cb_quote(cb_text *out, const char *text) {
  static const char digits[] = "0123456789abcdef";
  cb_add(out, "\"");
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    char escaped[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    if (c < 0x20)
      cb_bytes(out, escaped, 6);
    else if (c == '"' || c == '\\')
      cb_bytes(out, (char[]){'\\', *text}, 2);
    else
      cb_bytes(out, text, 1);
  }
  cb_add(out, "\"");
}

// --- the host ---

#define CB_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

CB_IMPORT("extism:host/env", "input_length") uint64_t cb_input_length(void);
CB_IMPORT("extism:host/env", "input_load_u8") uint32_t cb_input_load_u8(uint64_t at);
CB_IMPORT("extism:host/env", "input_load_u64") uint64_t cb_input_load_u64(uint64_t at);
CB_IMPORT("extism:host/env", "length") uint64_t cb_length(uint64_t offset);
CB_IMPORT("extism:host/env", "alloc") uint64_t cb_alloc(uint64_t size);
CB_IMPORT("extism:host/env", "load_u8") uint32_t cb_load_u8(uint64_t at);
CB_IMPORT("extism:host/env", "load_u64") uint64_t cb_load_u64(uint64_t at);
CB_IMPORT("extism:host/env", "store_u8") void cb_store_u8(uint64_t at, uint32_t value);
CB_IMPORT("extism:host/env", "store_u64") void cb_store_u64(uint64_t at, uint64_t value);
CB_IMPORT("extism:host/env", "output_set") void cb_output_set(uint64_t offset, uint64_t size);
CB_IMPORT("extism:host/user", "callboard_host") uint64_t cb_host_call(uint64_t offset);

// cb_put copies a text to the host, whose memory is not the plugin's.
static uint64_t cb_put(cb_text text) {
  uint64_t to = cb_alloc(text.size), word;
  size_t i = 0;
  for (; i + 8 <= text.size; i += 8) {
    memcpy(&word, text.at + i, 8);
    cb_store_u64(to + i, word);
  }
  for (; i < text.size; i++) cb_store_u8(to + i, (uint8_t)text.at[i]);
  return to;
}

// A call of the host, and the answer to it.
typedef struct {
  const char *capability;  // "route/v1" or "view/v1"
  cb_json caller;          // kind, name, role
  cb_json request;         // of the capability
  cb_text answer;
} cb_call;

// cb_fail answers with an error: a code such as "invalid", "not-found" or
// "upstream", and what is wrong.
static void cb_fail(cb_call *call, const char *code, const char *message) {
  call->answer = (cb_text){0};
  cb_add(&call->answer, "{\"error\":{\"code\":");
  cb_quote(&call->answer, code);
  cb_add(&call->answer, ",\"message\":");
  cb_quote(&call->answer, message);
  cb_add(&call->answer, "}}");
}

// cb_respond answers a route with a status and a body of JSON.
static void cb_respond(cb_call *call, int status, const char *body) {
  char digits[4] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10), (char)('0' + status % 10), 0};
  call->answer = (cb_text){0};
  cb_add(&call->answer, "{\"body\":{\"status\":");
  cb_add(&call->answer, digits);
  cb_add(&call->answer, ",\"body\":");
  cb_add(&call->answer, body);
  cb_add(&call->answer, "}}");
}

// cb_show answers a view with nodes: JSON objects with commas between them.
static void cb_show(cb_call *call, const char *nodes) {
  call->answer = (cb_text){0};
  cb_add(&call->answer, "{\"body\":{\"nodes\":[");
  cb_add(&call->answer, nodes);
  cb_add(&call->answer, "]}}");
}

// cb_host calls a host service, with a body of JSON or 0. If the service
// refuses, the call is answered with its error and nothing is returned.
static cb_json cb_host(cb_call *call, const char *service, const char *method, const char *body) {
  cb_text request = {0}, result = {0};
  cb_add(&request, "{\"service\":");
  cb_quote(&request, service);
  cb_add(&request, ",\"method\":");
  cb_quote(&request, method);
  if (body) cb_add(&request, ",\"body\":"), cb_add(&request, body);
  cb_add(&request, "}");
  uint64_t from = cb_host_call(cb_put(request)), word;
  size_t size = (size_t)cb_length(from), i = 0;
  result.at = malloc(size + 9);
  for (; i + 8 <= size; i += 8) {
    word = cb_load_u64(from + i);
    memcpy(result.at + i, &word, 8);
  }
  for (; i < size; i++) result.at[i] = (char)cb_load_u8(from + i);
  cb_json all = {result.at, size}, error = cb_get(all, "error");
  if (error.size) {
    cb_fail(call, cb_string(cb_get(error, "code")), cb_string(cb_get(error, "message")));
    return (cb_json){0, 0};
  }
  return cb_get(all, "body");
}

// cb_config returns what the plugin's admin configured.
static cb_json cb_config(cb_call *call) { return cb_get(cb_host(call, "config/v1", "get", 0), "config"); }

// What a plugin offers under an operation's id, or a view's.
typedef struct {
  const char *id;
  void (*handle)(cb_call *call);
} cb_handler;

static int32_t cb_serve(const cb_handler *routes, const cb_handler *views) {
  size_t size = (size_t)cb_input_length(), i = 0;
  char *in = malloc(size + 8);
  for (; i + 8 <= size; i += 8) {
    uint64_t word = cb_input_load_u64(i);
    memcpy(in + i, &word, 8);
  }
  for (; i < size; i++) in[i] = (char)cb_input_load_u8(i);
  cb_json all = {in, size};
  cb_call call = {cb_string(cb_get(all, "capability")), cb_get(all, "caller"), cb_get(all, "body"), {0}};
  int route = strcmp(call.capability, "route/v1") == 0;
  const char *id = cb_string(cb_get(call.request, route ? "operationId" : "view"));
  const cb_handler *h = route ? routes : views;
  while (h->id && strcmp(h->id, id) != 0) h++;
  if (!h->id || (!route && strcmp(call.capability, "view/v1") != 0))
    cb_fail(&call, "unsupported", "this plugin does not offer that");
  else
    h->handle(&call);
  cb_output_set(cb_put(call.answer), call.answer.size);
  return 0;
}

// CALLBOARD_PLUGIN makes the function that the host calls.
#define CALLBOARD_PLUGIN(routes, views) \
  __attribute__((export_name("callboard_call"))) int32_t callboard_call(void) { return cb_serve(routes, views); }

#endif
