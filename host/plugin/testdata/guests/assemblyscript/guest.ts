// A guest for tests: see ../README.md.
import * as extism from "./extism";

const GROWN = 10 << 20;

// A stretch of bytes in memory.
class Text {
  constructor(public at: usize, public size: i32) {}

  is(s: string): bool {
    if (this.size != s.length) return false;
    for (let i = 0; i < this.size; i++) if (load<u8>(this.at + i) != <u8>s.charCodeAt(i)) return false;
    return true;
  }

  integer(): i64 {
    let n: i64 = 0;
    for (let i = 0; i < this.size; i++) {
      const c = load<u8>(this.at + i);
      if (c < 48 || c > 57) break;
      n = n * 10 + (c - 48);
    }
    return n;
  }
}

// Bytes that grow.
class Out {
  bytes: StaticArray<u8>;
  size: i32 = 0;

  constructor(room: i32) {
    this.bytes = new StaticArray<u8>(room);
  }

  text(t: Text): void {
    memory.copy(changetype<usize>(this.bytes) + this.size, t.at, t.size);
    this.size += t.size;
  }

  string(s: string): void {
    for (let i = 0; i < s.length; i++) this.bytes[this.size++] = <u8>s.charCodeAt(i);
  }

  all(): Text {
    return new Text(changetype<usize>(this.bytes), this.size);
  }
}

let counter = 0;
let hidden = new StaticArray<u8>(256);
let always = true;

// The call must not be collected while parts of it are looked at.
let call = new StaticArray<u8>(0);

function input(): Text {
  const size = <i32>extism.inputLength();
  call = new StaticArray<u8>(size + 8);
  const at = changetype<usize>(call);
  let i = 0;
  for (; i + 8 <= size; i += 8) store<u64>(at + i, extism.inputLoadU64(i));
  for (; i < size; i++) store<u8>(at + i, extism.inputLoadU8(i));
  return new Text(at, size);
}

// put copies bytes to the host and returns where they are.
function put(t: Text): u64 {
  const offset = extism.alloc(t.size);
  let i = 0;
  for (; i + 8 <= t.size; i += 8) extism.storeU64(offset + i, load<u64>(t.at + i));
  for (; i < t.size; i++) extism.storeU8(offset + i, load<u8>(t.at + i));
  return offset;
}

function answer(body: Text): i32 {
  const out = new Out(body.size + 16);
  out.string('{"body":');
  out.text(body);
  out.string("}");
  extism.outputSet(put(out.all()), out.size);
  return 0;
}

function number(n: i64): i32 {
  const out = new Out(32);
  out.string(n.toString());
  return answer(out.all());
}

// end returns the first byte behind the JSON value at p.
function end(p: usize, stop: usize): usize {
  let depth = 0;
  for (; p < stop; p++) {
    const c = load<u8>(p);
    if (c == 34) {
      for (p++; p < stop && load<u8>(p) != 34; p++) if (load<u8>(p) == 92) p++;
    } else if (c == 123 || c == 91) {
      depth++;
    } else if (c == 125 || c == 93) {
      if (--depth < 0) return p;
    } else if (c == 44 && depth == 0) {
      return p;
    }
    if (depth == 0 && (c == 34 || c == 125 || c == 93)) return p + 1;
  }
  return stop;
}

// field returns the value of a key of the object in t, or nothing.
function field(t: Text, key: string): Text {
  let p = t.at + 1;
  const stop = t.at + t.size;
  while (p < stop && load<u8>(p) == 34) {
    const behind = end(p, stop);
    const value = behind + 1;
    const next = end(value, stop);
    if (new Text(p + 1, <i32>(behind - p) - 2).is(key)) return new Text(value, <i32>(next - value));
    p = next + 1;
  }
  return new Text(p, 0);
}

// chosen writes what task answers.
function chosen(body: Text, out: Out): void {
  const items = new Out(body.size + 1);
  let count: i64 = 0, sum: i64 = 0;
  let p = body.at + 1;
  const stop = body.at + body.size;
  while (p < stop && load<u8>(p) == 123) {
    const behind = end(p, stop);
    const item = new Text(p, <i32>(behind - p));
    if (field(item, "on").is("true")) {
      if (count++) items.string(",");
      items.text(item);
      sum += field(item, "size").integer();
    }
    p = behind + 1;
  }
  out.string('{"count":' + count.toString() + ',"sum":' + sum.toString() + ',"items":[');
  out.text(items.all());
  out.string("]}");
}

function task(body: Text): i32 {
  const out = new Out(body.size + 128);
  chosen(body, out);
  return answer(out.all());
}

function order(body: Text): i32 {
  const call = new Out(body.size + 256);
  call.string('{"service":"test/v1","method":"note","body":');
  chosen(body, call);
  call.string("}");
  return host(call.all());
}

function host(body: Text): i32 {
  const offset = extism.callboardHost(put(body));
  const size = <i32>extism.length(offset);
  const out = new StaticArray<u8>(size);
  const at = changetype<usize>(out);
  let i = 0;
  for (; i + 8 <= size; i += 8) store<u64>(at + i, extism.loadU64(offset + i));
  for (; i < size; i++) store<u8>(at + i, extism.loadU8(offset + i));
  return answer(new Text(at, size));
}

function grow(): i32 {
  const room = new StaticArray<u8>(GROWN);
  for (let i = 0; i < GROWN; i += 4096) room[i] = 1;
  return number(room.length);
}

// canary hides a secret wherever a guest can keep one.
function canary(secret: Text): i32 {
  const heap = new StaticArray<u8>(secret.size);
  memory.copy(changetype<usize>(heap), secret.at, secret.size);
  memory.copy(changetype<usize>(hidden), secret.at, min(secret.size, 256));
  return number(1);
}

// search looks for a secret that came reversed, so that the call itself is no find.
function search(reversed: Text): i32 {
  const all = (<usize>memory.size() << 16) - reversed.size;
  let found = 0;
  for (let p: usize = 8; p <= all; p++) {
    let k = 0;
    while (k < reversed.size && load<u8>(p + k) == load<u8>(reversed.at + reversed.size - 1 - k)) k++;
    if (k == reversed.size && k > 0) found++;
  }
  return number(found);
}

function work(n: i64): i32 {
  let x: u32 = 1;
  for (let i: i64 = 0; i < n; i++) x = x * 1664525 + 1013904223;
  return number(x);
}

// @ts-ignore: decorator
@noinline
function deep(n: i32): i32 {
  return always ? deep(n + 1) / 3 + n : n;
}

function doubled(n: i32): i32 {
  return n <= 0 ? 1 : doubled(n - 1) / 3 + doubled(n - 1);
}

let partners: StaticArray<(n: i32) => i32> = [];

function ping(n: i32): i32 {
  return partners[1](n + 1) / 3 + n;
}

function pong(n: i32): i32 {
  return partners[0](n + 1) / 5 + n;
}

function bulk(): i32 {
  const a = new StaticArray<u8>(4 << 20), b = new StaticArray<u8>(4 << 20);
  while (always) {
    memory.fill(changetype<usize>(a), <u8>counter, a.length);
    memory.copy(changetype<usize>(b), changetype<usize>(a), a.length);
  }
  return number(b[0]);
}

function spin(): i32 {
  while (always) {}
  return number(0);
}

export function callboard_call(): i32 {
  const whole = input();
  const method = field(whole, "method"), body = field(whole, "body");
  const inner = new Text(body.at + 1, max(0, body.size - 2));
  if (method.is('"echo"')) return answer(body);
  if (method.is('"task"')) return task(body);
  if (method.is('"order"')) return order(body);
  if (method.is('"count"')) return number(++counter);
  if (method.is('"host"')) return host(body);
  if (method.is('"grow"')) return grow();
  if (method.is('"canary"')) return canary(inner);
  if (method.is('"search"')) return search(inner);
  if (method.is('"work"')) return work(body.integer());
  if (method.is('"spin"')) return spin();
  if (method.is('"recurse"')) return number(deep(1));
  if (method.is('"fork"')) return number(doubled(body.is("null") ? 60 : <i32>body.integer()));
  if (method.is('"mutual"')) {
    partners = [ping, pong];
    return number(ping(1));
  }
  if (method.is('"bulk"')) return bulk();
  if (method.is('"trap"')) unreachable();
  const unknown = new Out(80);
  unknown.string('{"error":{"code":"unsupported","message":"no such act"}}');
  extism.outputSet(put(unknown.all()), unknown.size);
  return 0;
}

function aborted(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}
