//go:build !linux && !wasip1

package acts

// native are the acts that a system without plugin processes leaves out.
func native() map[string]act { return nil }
