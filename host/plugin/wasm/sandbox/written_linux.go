package sandbox

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxWritten is how many private pages a sandbox may keep, of 4 KiB. A call
	// that wrote more pays for giving them back.
	maxWritten = 1024
	// restoresKept is after how many calls the set is forgotten and gathered
	// anew, so that what one unusual call wrote is not copied for ever.
	restoresKept = 8192
	// regions is how many pieces of the set one question answers.
	regions = 64
	// quickScan is the size of memory, in bytes, up to which a scan is so short
	// that the Go scheduler need not know about it.
	quickScan = 16 << 20
)

// From linux/fs.h: the argument of PAGEMAP_SCAN, its number and categories.
const (
	pagemapScan   = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)
	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
	pageIsZero    = 1 << 5
)

type scanArgument struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, returned                         uint64
}

type region struct{ start, end, categories uint64 }

// span is a range of bytes of the memory, of whole pages.
type span struct{ from, to int }

// writtenSet is the set of private pages of one arena.
type writtenSet struct {
	pagemap  *os.File
	spans    []span
	pages    int
	restores int

	argument scanArgument
	vec      [regions]region
	// blind makes scan miss every page with an odd number: the tests prove with
	// it that they would notice.
	blind bool
}

// scan asks the system for all private pages of mem, in the way of the path.
func (w *writtenSet) scan(mem []byte, path Path) error {
	w.spans, w.pages = w.spans[:0], 0
	if len(mem) == 0 {
		return nil
	}
	if path == PageScan {
		return w.scanNew(mem)
	}
	return w.scanOld(mem)
}

// The bits of an entry of /proc/self/pagemap, one for each page.
const (
	entryIsPresent = 1 << 63
	entryIsSwapped = 1 << 62
	entryIsFile    = 1 << 61
	// entries is how many of them are read at once.
	entries = 512
)

// scanOld reads what the system says of every single page. Private are those
// that are present or swapped out and not the file's. The page of zeros, which
// reading empty memory gives, is taken for one, which does no harm.
func (w *writtenSet) scanOld(mem []byte) error {
	var list [entries]uint64
	first := int64(uintptr(unsafe.Pointer(&mem[0]))) / page
	for from := 0; from < len(mem)/page; {
		want := min(entries, len(mem)/page-from)
		n, _, errno := syscall.RawSyscall6(syscall.SYS_PREAD64, w.pagemap.Fd(), uintptr(unsafe.Pointer(&list)), uintptr(want*8), uintptr((first+int64(from))*8), 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 || n < 8 || n%8 != 0 {
			return fmt.Errorf("asking for the pages that a call wrote: %d bytes of %d: %w", n, want*8, errno)
		}
		for i, e := range list[:n/8] {
			if e&(entryIsPresent|entryIsSwapped) != 0 && e&entryIsFile == 0 {
				w.add(span{(from + i) * page, (from + i + 1) * page})
			}
		}
		from += int(n / 8)
	}
	return nil
}

// scanNew gets the private pages alone. They are those that are present or
// swapped out, not pages of the image's file, and not the page of zeros that
// reading empty memory gives.
func (w *writtenSet) scanNew(mem []byte) error {
	base := uint64(uintptr(unsafe.Pointer(&mem[0])))
	w.argument = scanArgument{
		start: base, end: base + uint64(len(mem)),
		vec: uint64(uintptr(unsafe.Pointer(&w.vec[0]))), vecLen: regions,
		inverted: pageIsFile | pageIsZero, mask: pageIsFile | pageIsZero,
		anyOf: pageIsPresent | pageIsSwapped, returned: pageIsPresent | pageIsSwapped,
	}
	w.argument.size = uint64(unsafe.Sizeof(w.argument))
	for w.argument.start < w.argument.end {
		n, errno := w.ask(len(mem))
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("asking for the pages that a call wrote: %w", errno)
		}
		for _, r := range w.vec[:n] {
			w.add(span{int(r.start - base), int(r.end - base)})
		}
		if w.argument.walkEnd <= w.argument.start {
			return fmt.Errorf("asking for the pages that a call wrote: the system stopped at %#x", w.argument.walkEnd)
		}
		w.argument.start = w.argument.walkEnd
	}
	return nil
}

func (w *writtenSet) ask(size int) (int, syscall.Errno) {
	call := syscall.RawSyscall
	if size > quickScan {
		call = syscall.Syscall
	}
	n, _, errno := call(syscall.SYS_IOCTL, w.pagemap.Fd(), pagemapScan, uintptr(unsafe.Pointer(&w.argument)))
	return int(n), errno
}

func (w *writtenSet) add(s span) {
	if w.blind {
		s = span{s.from, s.to &^ (2*page - 1)}
		if s.to <= s.from {
			return
		}
	}
	w.pages += (s.to - s.from) / page
	if n := len(w.spans); n > 0 && w.spans[n-1].to == s.from {
		w.spans[n-1].to = s.to
		return
	}
	w.spans = append(w.spans, s)
}

// restore copies the image's pages over the set's, and zeros over those behind
// the image.
func (w *writtenSet) restore(mem, image []byte) {
	for _, s := range w.spans {
		n := 0
		if s.from < len(image) {
			n = copy(mem[s.from:s.to], image[s.from:])
		}
		clear(mem[s.from+n : s.to])
	}
	w.restores++
}

// giveBack returns the set's pages to the system, so that the memory is the
// image there, and asks for private copies of them at once: the next call will
// want them, and a page fault for each takes twice as long.
func (w *writtenSet) giveBack(mem []byte) error {
	for _, s := range w.spans {
		if err := unix.Madvise(mem[s.from:s.to], unix.MADV_DONTNEED); err != nil {
			return os.NewSyscallError("madvise", err)
		}
		// Linux before 5.14 does not know this; then the next call asks.
		_ = unix.Madvise(mem[s.from:s.to], unix.MADV_POPULATE_WRITE)
	}
	w.restores++
	return nil
}

// full reports whether giving the pages back is better than keeping them.
func (w *writtenSet) full() bool { return w.pages > maxWritten || w.restores >= restoresKept }

// forget empties the set, whose pages were given back.
func (w *writtenSet) forget() { w.spans, w.pages, w.restores = w.spans[:0], 0, 0 }

// tally watches the page faults of the thread of a call.
type tally struct {
	// trusted is whether the system counts them. If not, every call may have
	// had one.
	trusted bool
	before  int64
	seen    bool // one, before the last resume
	usage   unix.Rusage
}

// begin notes where the count is. The thread must be kept until moved, or
// until pause.
func (t *tally) begin() {
	t.seen = false
	t.resume()
}

// pause is called before the thread is let go. Nobody writes to the memory
// until resume.
func (t *tally) pause() { t.seen = t.moved() }

// resume begins anew, on the thread that goes on.
func (t *tally) resume() {
	if t.trusted && !t.seen {
		t.before = t.count()
	}
}

// moved reports whether the call may have had a page fault since begin.
func (t *tally) moved() bool {
	if !t.trusted || t.seen {
		return true
	}
	n := t.count()
	return n != t.before || n < 0
}

// count returns the page faults of this thread so far, -1 if it is not known.
func (t *tally) count() int64 {
	_, _, errno := syscall.RawSyscall(syscall.SYS_GETRUSAGE, unix.RUSAGE_THREAD, uintptr(unsafe.Pointer(&t.usage)), 0)
	if errno != 0 {
		return -1
	}
	return int64(t.usage.Minflt) + int64(t.usage.Majflt)
}
