//go:build wasm || amd64 || arm64

package codec

import "unsafe" // to load eight bytes at once, which the compiler does not do by itself for wasm

// word returns eight bytes of s from i on, the first in the lowest bits. There
// must be as many.
func word(s string, i int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), i))
}
