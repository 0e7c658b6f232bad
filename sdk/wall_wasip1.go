package sdk

import (
	"encoding/binary"
	"unsafe" // to move eight bytes at once, which the compiler does not do by itself for wasm

	pdk "github.com/extism/go-pdk"
)

// The memory of an Extism host is behind these functions. Each crossing of the
// wall costs as much as some dozens of instructions, so bytes cross it eight at
// a time, the last of them together with some that have crossed already.

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u64
func inputLoad(at uint64) uint64

//go:wasmimport extism:host/env load_u64
func load(at uint64) uint64

//go:wasmimport extism:host/env store_u64
func store(at, v uint64)

// word is the number of bytes that cross at a time.
const word = 8

// input returns the input of the call.
func input() []byte {
	n := inputLength()
	if n < word {
		return pdk.Input()
	}
	in := make([]byte, n)
	p := unsafe.Pointer(unsafe.SliceData(in))
	for i := uint64(0); i+word <= n; i += word {
		*(*uint64)(unsafe.Add(p, i)) = inputLoad(i)
	}
	binary.LittleEndian.PutUint64(in[n-word:], inputLoad(n-word))
	return in
}

// output makes out the output of the call.
func output(out []byte) {
	mem := lay(out)
	pdk.OutputMemory(mem)
}

// lay puts bytes into a block of the host's memory.
func lay(b []byte) pdk.Memory {
	n := uint64(len(b))
	if n < word {
		return pdk.AllocateBytes(b)
	}
	mem := pdk.Allocate(len(b))
	at, p := mem.Offset(), unsafe.Pointer(unsafe.SliceData(b))
	if at == 0 { // the host has no room; whoever uses the block finds out
		return mem
	}
	for i := uint64(0); i+word <= n; i += word {
		store(at+i, *(*uint64)(unsafe.Add(p, i)))
	}
	store(at+n-word, binary.LittleEndian.Uint64(b[n-word:]))
	return mem
}

// fetch returns what is in a block of the host's memory.
func fetch(mem pdk.Memory) []byte {
	n := mem.Length()
	if n < word {
		return mem.ReadBytes()
	}
	out := make([]byte, n)
	at, p := mem.Offset(), unsafe.Pointer(unsafe.SliceData(out))
	for i := uint64(0); i+word <= n; i += word {
		*(*uint64)(unsafe.Add(p, i)) = load(at + i)
	}
	binary.LittleEndian.PutUint64(out[n-word:], load(at+n-word))
	return out
}
