// Command codecgen writes the JSON methods of the words on the wire: for each
// package in the named folders that has structs with json tags, one file
// codec_gen.go. Plugins of authors get theirs from callboard plugin generate.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/callboard-dev/callboard/cmd/internal/codecgen"
)

func main() {
	marked := flag.Bool("marked", false, "serve the types with the mark alone, as plugin generate does")
	flag.Parse()
	for _, root := range flag.Args() {
		if err := generate(root, codecgen.Settings{All: !*marked}); err != nil {
			fmt.Fprintln(os.Stderr, "codecgen:", err)
			os.Exit(1)
		}
	}
}

// generate writes the files of all packages below root.
func generate(root string, s codecgen.Settings) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if entry.Name() == "testdata" && path != root {
			return fs.SkipDir
		}
		_, err = codecgen.Write(path, s)
		return err
	})
}
