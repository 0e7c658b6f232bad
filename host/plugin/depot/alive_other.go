//go:build !unix

package depot

// alive does not know; age decides.
func alive(int) bool { return true }
