package sandbox

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An image on disk: the head, then the globals, then each page that is not
// zero, with its number before it, then the number that ends the list. All
// numbers are little-endian. It holds no checksum: whoever keeps images
// verifies them before Load, which only makes sure that it stays within bounds.
const (
	storeMagic = "callboard image\x01"
	// lastPage ends the list of pages.
	lastPage = 1<<32 - 1
	// maxGlobals and maxPages bound what Load takes.
	maxGlobals = 1 << 16
	maxPages   = 1 << 16
)

type storeHead struct {
	Magic   [len(storeMagic)]byte
	Pages   uint32
	Globals uint32
}

// Save writes the image. Pages that are zero take no room.
func (i *Image) Save(to io.Writer) error {
	w := bufio.NewWriterSize(to, 64<<10)
	head := storeHead{Magic: [len(storeMagic)]byte([]byte(storeMagic)), Pages: i.pages, Globals: uint32(len(i.globals))}
	if err := binary.Write(w, binary.LittleEndian, head); err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, i.globals); err != nil {
		return err
	}
	var number [4]byte
	for at := 0; at < len(i.view); at += page {
		p := i.view[at : at+page]
		if isZero(p) {
			continue
		}
		binary.LittleEndian.PutUint32(number[:], uint32(at/page))
		if _, err := w.Write(number[:]); err != nil {
			return err
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	binary.LittleEndian.PutUint32(number[:], lastPage)
	if _, err := w.Write(number[:]); err != nil {
		return err
	}
	return w.Flush()
}

// Load reads what Save wrote.
func Load(from io.Reader) (*Image, error) {
	r := bufio.NewReaderSize(from, 64<<10)
	var head storeHead
	if err := binary.Read(r, binary.LittleEndian, &head); err != nil {
		return nil, fmt.Errorf("reading an image: %w", err)
	}
	if string(head.Magic[:]) != storeMagic {
		return nil, errors.New("reading an image: it is none, or of another version")
	}
	if head.Pages > maxPages || head.Globals > maxGlobals {
		return nil, errors.New("reading an image: it is larger than a guest can be")
	}
	img := &Image{pages: head.Pages, globals: make([]uint64, head.Globals)}
	if err := binary.Read(r, binary.LittleEndian, img.globals); err != nil {
		return nil, fmt.Errorf("reading an image: %w", err)
	}
	if err := img.receive(int(head.Pages)*wasmPage, func(at func(number uint32, p []byte) error) error { return readPages(r, at) }); err != nil {
		return nil, fmt.Errorf("reading an image: %w", err)
	}
	return img, nil
}

// readPages hands each stored page to at.
func readPages(r io.Reader, at func(number uint32, p []byte) error) error {
	var buf [4 + page]byte
	next := int64(0)
	for {
		if _, err := io.ReadFull(r, buf[:4]); err != nil {
			return err
		}
		number := binary.LittleEndian.Uint32(buf[:4])
		if number == lastPage {
			return nil
		}
		if int64(number) < next {
			return errors.New("its pages are not in order")
		}
		next = int64(number) + 1
		if _, err := io.ReadFull(r, buf[4:]); err != nil {
			return err
		}
		if err := at(number, buf[4:]); err != nil {
			return err
		}
	}
}

// isZero reports whether a page is all zero.
func isZero(p []byte) bool { return bytes.Count(p, []byte{0}) == len(p) }
