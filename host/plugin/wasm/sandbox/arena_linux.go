package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// tailKept is how much grown memory a sandbox cleans and keeps, in bytes; what
// is beyond it goes back to the system after each call.
const tailKept = 256 << 10

// arena is the linear memory of one sandbox: a range of addresses whose
// beginning is a private mapping of the image and whose rest, the tail, is
// empty memory for what grows. It never moves.
type arena struct {
	state *kernel.State
	base  *pristine // nil while an image is made
	path  Path
	tally tally
	// reserve is how large the memory may become at most, in bytes.
	reserve int
	mem     []byte // the whole range; nil before the module is instantiated
	ready   int    // how much of it may be used
	size    int    // of the guest's memory
	touched int    // no page behind it was ever written since the last purge
	peak    int
	limit   int64 // of this call, with the kernel's memory; 0: none

	shrinking bool
	written   writtenSet
}

var _ experimental.LinearMemory = (*arena)(nil)

// within returns a context with which a module gets this memory.
func (a *arena) within(state *kernel.State, limit int64) context.Context {
	a.state, a.limit = state, limit
	return experimental.WithMemoryAllocator(state, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		if a.reserve == 0 {
			a.reserve = int(min(most, maxPages*wasmPage))
			if limit > 0 {
				a.reserve = min(a.reserve, int(limit)/wasmPage*wasmPage)
			}
		}
		return a
	}))
}

// image is what the memory is between calls.
func (a *arena) image() []byte {
	if a.base == nil {
		return nil
	}
	return a.base.view
}

// Reallocate implements experimental.LinearMemory.
func (a *arena) Reallocate(size uint64) []byte {
	if a.shrinking {
		a.size = len(a.image())
		return a.mem[:a.size:a.size]
	}
	total := int64(size) + a.state.Bytes()
	if size > uint64(a.reserve) || a.limit > 0 && total > a.limit {
		a.state.Refuse(total)
		return nil
	}
	if a.mem == nil {
		if err := a.open(); err != nil {
			a.state.Refuse(total)
			return nil
		}
	}
	if n := int(size); n > a.ready {
		if err := unix.Mprotect(a.mem[a.ready:n], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			a.state.Refuse(total)
			return nil
		}
		a.ready = n
	}
	a.size = int(size)
	a.peak, a.touched = max(a.peak, a.size), max(a.touched, a.size)
	return a.mem[:a.size:a.size]
}

// open reserves the range and maps the image at its beginning.
func (a *arena) open() error {
	mem, err := unix.Mmap(-1, 0, max(a.reserve, wasmPage), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	a.mem = mem
	// Huge pages would make one written byte 2 MiB of private memory. Where
	// there are none, this is refused, which is as good.
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE)
	n := len(a.image())
	if n == 0 {
		return nil
	}
	if n > a.reserve {
		return errors.Join(fmt.Errorf("the image of %d bytes does not fit into %d", n, a.reserve), a.unmap())
	}
	_, err = unix.MmapPtr(int(a.base.file.Fd()), 0, unsafe.Pointer(&mem[0]), uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	if err != nil {
		return errors.Join(os.NewSyscallError("mmap", err), a.unmap())
	}
	a.ready = n
	return nil
}

// begin prepares a call that may have so much memory, the kernel's included.
func (a *arena) begin(limit int64) {
	a.limit, a.peak = limit, a.size
	a.tally.begin()
}

// grown reports whether the guest's memory is not of the image's size.
func (a *arena) grown() bool { return a.size != len(a.image()) }

// Free implements experimental.LinearMemory.
func (a *arena) Free() {
	// It cannot fail for a range that was mapped as it is.
	_ = a.unmap()
}

func (a *arena) unmap() error {
	if a.mem == nil {
		return nil
	}
	// The range is several mappings by now, so it is not unix.Munmap's.
	err := unix.MunmapPtr(unsafe.Pointer(&a.mem[0]), uintptr(len(a.mem)))
	a.mem, a.ready, a.size, a.touched = nil, 0, 0, 0
	a.written.forget()
	return err
}

// restore makes the memory equal to the image. The thread is the one that
// called begin.
func (a *arena) restore() error {
	n := len(a.image())
	if a.written.pagemap == nil {
		return a.purge()
	}
	if a.touched > n+tailKept {
		if err := unix.Madvise(a.mem[n+tailKept:a.touched], unix.MADV_DONTNEED); err != nil {
			return os.NewSyscallError("madvise", err)
		}
		a.touched = n + tailKept
	}
	if a.tally.moved() {
		if err := a.written.scan(a.mem[:a.touched], a.path); err != nil {
			return err
		}
	}
	switch {
	case a.written.full():
		return a.purge()
	case a.path == Madvise:
		return a.written.giveBack(a.mem)
	}
	a.written.restore(a.mem, a.image())
	return nil
}

// purge gives all private pages back, which makes the memory equal to the
// image on any Linux.
func (a *arena) purge() error {
	if a.touched > 0 {
		if err := unix.Madvise(a.mem[:a.touched], unix.MADV_DONTNEED); err != nil {
			return os.NewSyscallError("madvise", err)
		}
	}
	a.touched = len(a.image())
	a.written.forget()
	return nil
}

// difference says where the memory is not the image, up to upTo where that is
// behind it, or "".
func (a *arena) difference(upTo int) string {
	image := a.image()
	var zeros [page]byte
	for at := 0; at < max(upTo, len(image)); at += page {
		want := zeros[:]
		if at < len(image) {
			want = image[at : at+page]
		}
		if !bytes.Equal(a.mem[at:at+page], want) {
			return fmt.Sprintf("the page at %#x differs", at)
		}
	}
	return ""
}

// pristine is an image's memory: a sealed file that lives in memory alone.
type pristine struct {
	file *os.File
	view []byte // all of it, read-only
}

// store makes the file from the memory of a guest.
func (p *pristine) store(memory []byte) error {
	return p.receive(len(memory), func(at func(uint32, []byte) error) error {
		for from := 0; from < len(memory); from += page {
			if piece := memory[from : from+page]; !isZero(piece) {
				if err := at(uint32(from/page), piece); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// receive makes the file from single pages; the others are zero.
func (p *pristine) receive(size int, pages func(at func(number uint32, piece []byte) error) error) error {
	fd, err := unix.MemfdCreate("callboard-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	p.file = os.NewFile(uintptr(fd), "callboard-image")
	if err := p.file.Truncate(int64(size)); err != nil {
		return errors.Join(err, p.free())
	}
	err = pages(func(number uint32, piece []byte) error {
		if int64(number) >= int64(size/page) {
			return errors.New("a page is outside of the memory")
		}
		_, err := p.file.WriteAt(piece, int64(number)*page)
		return err
	})
	if err != nil {
		return errors.Join(err, p.free())
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(p.file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return errors.Join(os.NewSyscallError("fcntl", err), p.free())
	}
	if size == 0 {
		return nil
	}
	if p.view, err = unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return errors.Join(os.NewSyscallError("mmap", err), p.free())
	}
	return nil
}

// free unmaps and closes the file. It may be called again.
func (p *pristine) free() error {
	var err error
	if p.view != nil {
		err = unix.Munmap(p.view)
		p.view = nil
	}
	if p.file != nil {
		err = errors.Join(err, p.file.Close())
		p.file = nil
	}
	return err
}
