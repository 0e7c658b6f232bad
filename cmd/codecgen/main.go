// Command codecgen writes the JSON methods of the words on the wire: for each
// package in the named folders that has structs with json tags, one file
// codec_gen.go. Plugins of authors get theirs from callboard plugin generate.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/callboard-dev/callboard/cmd/internal/codecgen"
)

func main() {
	for _, root := range os.Args[1:] {
		if err := generate(root); err != nil {
			fmt.Fprintln(os.Stderr, "codecgen:", err)
			os.Exit(1)
		}
	}
}

// generate writes the files of all packages below root.
func generate(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if entry.Name() == "testdata" {
			return fs.SkipDir
		}
		_, err = codecgen.Write(path, codecgen.Settings{All: true})
		return err
	})
}
