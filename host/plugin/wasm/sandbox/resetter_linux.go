package sandbox

import (
	"fmt"
	"os"
)

// resetter is what all sandboxes of a Code need to be restored.
type resetter struct {
	path    Path
	pagemap *os.File
	counts  bool
}

func newResetter(path Path) (resetter, error) {
	switch path {
	case Madvise:
		return resetter{path: path}, nil
	case PageScan:
		pagemap, err := os.Open("/proc/self/pagemap")
		return resetter{path: path, pagemap: pagemap, counts: countsFaults()}, err
	}
	return resetter{}, fmt.Errorf("no sandboxes on this system: there is no path %q", path)
}

// equip makes an arena restore itself.
func (r *resetter) equip(a *arena) {
	a.path, a.tally.trusted, a.written.pagemap = r.path, r.counts, r.pagemap
}

func (r *resetter) close() error {
	if r.pagemap == nil {
		return nil
	}
	return r.pagemap.Close()
}
