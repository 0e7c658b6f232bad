// The part of Extism's ABI that this guest uses. Offsets are addresses in the
// host's own memory: bytes go in and out by loads and stores.
#pragma once
#include <stdint.h>

#define FROM(module, name) __attribute__((import_module(module), import_name(name)))

FROM("extism:host/env", "input_length") uint64_t extism_input_length(void);
FROM("extism:host/env", "input_load_u8") uint32_t extism_input_load_u8(uint64_t at);
FROM("extism:host/env", "input_load_u64") uint64_t extism_input_load_u64(uint64_t at);
FROM("extism:host/env", "length") uint64_t extism_length(uint64_t offset);
FROM("extism:host/env", "alloc") uint64_t extism_alloc(uint64_t size);
FROM("extism:host/env", "free") void extism_free(uint64_t offset);
FROM("extism:host/env", "load_u8") uint32_t extism_load_u8(uint64_t at);
FROM("extism:host/env", "load_u64") uint64_t extism_load_u64(uint64_t at);
FROM("extism:host/env", "store_u8") void extism_store_u8(uint64_t at, uint32_t value);
FROM("extism:host/env", "store_u64") void extism_store_u64(uint64_t at, uint64_t value);
FROM("extism:host/env", "output_set") void extism_output_set(uint64_t offset, uint64_t size);
FROM("extism:host/user", "callboard_host") uint64_t callboard_host(uint64_t offset);
