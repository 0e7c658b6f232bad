package sandbox

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

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
