// The part of Extism's ABI that this guest uses. Offsets are addresses in the
// host's own memory: bytes go in and out by loads and stores.
@external("extism:host/env", "input_length")
export declare function inputLength(): u64;
@external("extism:host/env", "input_load_u8")
export declare function inputLoadU8(at: u64): u32;
@external("extism:host/env", "input_load_u64")
export declare function inputLoadU64(at: u64): u64;
@external("extism:host/env", "length")
export declare function length(offset: u64): u64;
@external("extism:host/env", "alloc")
export declare function alloc(size: u64): u64;
@external("extism:host/env", "load_u8")
export declare function loadU8(at: u64): u32;
@external("extism:host/env", "load_u64")
export declare function loadU64(at: u64): u64;
@external("extism:host/env", "store_u8")
export declare function storeU8(at: u64, value: u32): void;
@external("extism:host/env", "store_u64")
export declare function storeU64(at: u64, value: u64): void;
@external("extism:host/env", "output_set")
export declare function outputSet(offset: u64, size: u64): void;
@external("extism:host/user", "callboard_host")
export declare function callboardHost(offset: u64): u64;
