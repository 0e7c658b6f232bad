package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Detect finds the fastest path that works on this host, by trying it, and says
// why a faster one does not.
func Detect() (Path, string) {
	err := Try(PageScan)
	if err == nil {
		return PageScan, ""
	}
	why := fmt.Sprintf("this system does not tell which pages were written (Linux 6.7 does): %v", err)
	for _, path := range []Path{Pagemap, Madvise} {
		if err = Try(path); err == nil {
			return path, why
		}
	}
	return None, fmt.Sprintf("memory cannot be restored on this system: %v", err)
}

// Try writes to a small memory and looks whether the path restores it. It
// returns why it does not.
func Try(path Path) error {
	if os.Getpagesize() != page {
		return fmt.Errorf("its pages have %d bytes, not %d", os.Getpagesize(), page)
	}
	base := &pristine{}
	want := make([]byte, 4*page)
	want[page] = 7
	if err := base.store(want); err != nil {
		return err
	}
	defer base.free()
	r, err := newResetter(path)
	if err != nil {
		return err
	}
	defer r.close()
	a := &arena{base: base, reserve: 8 * page}
	r.equip(a)
	a.tally.trusted = false
	if err := a.open(); err != nil {
		return err
	}
	defer a.Free()
	if err := unix.Mprotect(a.mem, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return os.NewSyscallError("mprotect", err)
	}
	a.touched = len(a.mem)
	for range 3 {
		a.mem[page], a.mem[2*page], a.mem[5*page] = 1, 2, 3
		if err := a.restore(); err != nil {
			return err
		}
		a.touched = len(a.mem)
		if a.mem[page] != 7 || a.mem[2*page] != 0 || a.mem[5*page] != 0 {
			return errors.New("memory that was written to is not restored")
		}
	}
	return nil
}

// countsFaults tries whether the system counts the page faults of a thread.
// Some that look like Linux do not.
func countsFaults() bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mem, err := unix.Mmap(-1, 0, 16*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return false
	}
	defer unix.Munmap(mem)
	if err := unix.Madvise(mem, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		return false
	}
	t := &tally{trusted: true}
	for at := 0; at < len(mem); at += page {
		t.begin()
		mem[at] = 1
		if !t.moved() {
			return false
		}
	}
	return t.before >= 0
}

// resetter is what all sandboxes of a Code need to be restored.
type resetter struct {
	path    Path
	pagemap *os.File
	counts  bool
}

func newResetter(path Path) (resetter, error) {
	if path != PageScan && path != Pagemap && path != Madvise {
		return resetter{}, fmt.Errorf("no sandboxes on this system: there is no path %q", path)
	}
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil && path == Madvise {
		return resetter{path: path}, nil
	}
	return resetter{path: path, pagemap: pagemap, counts: countsFaults()}, err
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
