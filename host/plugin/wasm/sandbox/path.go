package sandbox

// Path is how sandboxes are restored.
type Path string

// The paths, the fastest first.
const (
	// PageScan restores the pages that were written (Linux 6.7 and newer).
	PageScan Path = "page-scan"
	// Madvise gives all private pages back to the system (any Linux).
	Madvise Path = "madvise"
	// None is a system on which this package opens nothing: guests get a fresh
	// instance for each call, elsewhere.
	None Path = ""
)
