// callboard.ts: what a Callboard plugin in AssemblyScript needs to speak with
// its host. It is all in this file; change it as you like.
//
// JSON stays text: Json looks into it, quote writes strings. Each call runs in a
// world of its own that is gone afterwards, so no variable keeps its value.

// @ts-ignore: decorator
@external("extism:host/env", "input_length")
declare function inputLength(): u64;
// @ts-ignore: decorator
@external("extism:host/env", "input_load_u8")
declare function inputLoadU8(at: u64): u32;
// @ts-ignore: decorator
@external("extism:host/env", "input_load_u64")
declare function inputLoadU64(at: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "length")
declare function length(offset: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "alloc")
declare function alloc(size: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "load_u8")
declare function loadU8(at: u64): u32;
// @ts-ignore: decorator
@external("extism:host/env", "load_u64")
declare function loadU64(at: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "store_u8")
declare function storeU8(at: u64, value: u32): void;
// @ts-ignore: decorator
@external("extism:host/env", "store_u64")
declare function storeU64(at: u64, value: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "output_set")
declare function outputSet(offset: u64, size: u64): void;
// @ts-ignore: decorator
@external("extism:host/user", "callboard_host")
declare function callHost(offset: u64): u64;

function space(c: i32): bool {
  return c == 0x20 || c == 0x0a || c == 0x0d || c == 0x09;
}

// end returns where the JSON value that begins at p ends.
function end(s: string, p: i32): i32 {
  let depth = 0;
  for (; p < s.length; p++) {
    const c = s.charCodeAt(p);
    if (c == 0x22) {
      for (p++; p < s.length && s.charCodeAt(p) != 0x22; p++) if (s.charCodeAt(p) == 0x5c) p++;
      if (depth == 0) return p + 1;
    } else if (c == 0x7b || c == 0x5b) {
      depth++;
    } else if (c == 0x7d || c == 0x5d) {
      if (--depth < 0) return p;
      if (depth == 0) return p + 1;
    } else if (depth == 0 && (c == 0x2c || space(c))) {
      return p;
    }
  }
  return s.length;
}

// past goes past white space, and past one more character if it is c.
function past(s: string, p: i32, c: i32): i32 {
  let more = c != 0;
  for (; p < s.length; p++) {
    if (more && s.charCodeAt(p) == c) more = false;
    else if (!space(s.charCodeAt(p))) break;
  }
  return p;
}

// A JSON value, as text. The text of nothing is empty.
export class Json {
  constructor(public text: string) {}

  get exists(): bool {
    return this.text.length > 0;
  }

  // get returns the value of a key of an object, or nothing.
  get(key: string): Json {
    const s = this.text;
    if (s.length < 2 || s.charCodeAt(0) != 0x7b) return new Json("");
    let p = past(s, 1, 0);
    while (p < s.length && s.charCodeAt(p) == 0x22) {
      const behind = end(s, p);
      const value = past(s, behind, 0x3a);
      const next = end(s, value);
      if (s.substring(p + 1, behind - 1) == key) return new Json(s.substring(value, next));
      p = past(s, next, 0x2c);
    }
    return new Json("");
  }

  // string returns what a JSON string says; "" for what is no string.
  string(): string {
    const s = this.text;
    if (s.length < 2 || s.charCodeAt(0) != 0x22) return "";
    let out = "", from = 1;
    for (let p = 1; p < s.length - 1; p++) {
      if (s.charCodeAt(p) != 0x5c) continue;
      out += s.substring(from, p);
      const c = s.charCodeAt(++p);
      if (c == 0x75) {
        out += String.fromCharCode(<i32>parseInt(s.substring(p + 1, p + 5), 16));
        p += 4;
      } else if (c == 0x62) out += "\b";
      else if (c == 0x66) out += "\f";
      else if (c == 0x6e) out += "\n";
      else if (c == 0x72) out += "\r";
      else if (c == 0x74) out += "\t";
      else out += String.fromCharCode(c);
      from = p + 1;
    }
    return out + s.substring(from, s.length - 1);
  }
}

// quote writes a JSON string.
export function quote(s: string): string {
  let out = '"', from = 0;
  for (let p = 0; p < s.length; p++) {
    const c = s.charCodeAt(p);
    if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
    out += s.substring(from, p);
    if (c >= 0x20) out += "\\" + String.fromCharCode(c);
    else out += "\\u00" + (c < 0x10 ? "0" : "") + c.toString(16);
    from = p + 1;
  }
  return out + s.substring(from) + '"';
}

// put copies a text to the host, whose memory is not the plugin's.
function put(text: string): u64 {
  const bytes = String.UTF8.encode(text), at = changetype<usize>(bytes), size = bytes.byteLength;
  const to = alloc(size);
  let i = 0;
  for (; i + 8 <= size; i += 8) storeU64(to + i, load<u64>(at + i));
  for (; i < size; i++) storeU8(to + i, load<u8>(at + i));
  return to;
}

function input(): string {
  const size = <i32>inputLength();
  const bytes = new ArrayBuffer(size), at = changetype<usize>(bytes);
  let i = 0;
  for (; i + 8 <= size; i += 8) store<u64>(at + i, inputLoadU64(i));
  for (; i < size; i++) store<u8>(at + i, inputLoadU8(i));
  return String.UTF8.decode(bytes);
}

function take(from: u64): string {
  const size = <i32>length(from);
  const bytes = new ArrayBuffer(size), at = changetype<usize>(bytes);
  let i = 0;
  for (; i + 8 <= size; i += 8) store<u64>(at + i, loadU64(from + i));
  for (; i < size; i++) store<u8>(at + i, loadU8(from + i));
  return String.UTF8.decode(bytes);
}

// A call of the host, and the answer to it.
export class Call {
  answer: string = "";

  constructor(
    public capability: string, // "route/v1" or "view/v1"
    public caller: Json, // kind, name, role
    public request: Json, // of the capability
  ) {}

  // fail answers with an error: a code such as "invalid", "not-found" or
  // "upstream", and what is wrong.
  fail(code: string, message: string): void {
    this.answer = '{"error":{"code":' + quote(code) + ',"message":' + quote(message) + "}}";
  }

  // respond answers a route with a status and a body of JSON.
  respond(status: i32, body: string): void {
    this.answer = '{"body":{"status":' + status.toString() + ',"body":' + body + "}}";
  }

  // show answers a view with nodes, each a JSON object.
  show(nodes: string[]): void {
    this.answer = '{"body":{"nodes":[' + nodes.join(",") + "]}}";
  }

  // host calls a host service, with a body of JSON or "". If the service
  // refuses, the call is answered with its error and nothing is returned.
  host(service: string, method: string, body: string): Json {
    let request = '{"service":' + quote(service) + ',"method":' + quote(method);
    if (body.length > 0) request += ',"body":' + body;
    const result = new Json(take(callHost(put(request + "}"))));
    const error = result.get("error");
    if (error.exists) {
      this.fail(error.get("code").string(), error.get("message").string());
      return new Json("");
    }
    return result.get("body");
  }

  // config returns what the plugin's admin configured.
  config(): Json {
    return this.host("config/v1", "get", "").get("config");
  }
}

type Handler = (call: Call) => void;

const routes = new Map<string, Handler>();
const views = new Map<string, Handler>();

// route offers the operation of plugin.yaml that has this id.
export function route(id: string, handle: Handler): void {
  routes.set(id, handle);
}

// view offers the view of plugin.yaml that has this id.
export function view(id: string, handle: Handler): void {
  views.set(id, handle);
}

// serve answers one call.
export function serve(): i32 {
  const all = new Json(input());
  const call = new Call(all.get("capability").string(), all.get("caller"), all.get("body"));
  const isRoute = call.capability == "route/v1";
  const handlers = isRoute ? routes : views;
  const id = call.request.get(isRoute ? "operationId" : "view").string();
  if ((isRoute || call.capability == "view/v1") && handlers.has(id)) handlers.get(id)(call);
  else call.fail("unsupported", "this plugin does not offer that");
  const size = String.UTF8.byteLength(call.answer);
  outputSet(put(call.answer), size);
  return 0;
}

// aborted is where failed assertions and out-of-bounds accesses lead.
export function aborted(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}
