package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// block is one run of statements of a coverage profile.
type block struct {
	statements int
	covered    bool
}

// profile is the union of any number of profiles: a block is covered if any
// test of any package reached it.
type profile map[string]block

// testing packages (suites, in-memory doubles) are code that other packages'
// tests run; guests and generated code are not ours to cover.
var uncounted = regexp.MustCompile(`/(testdata|[a-z0-9]+test)/[^/]+\.go:|\.pb\.go:|_gen\.go:`)

func runCoverage(args []string, _ io.Reader, out io.Writer) int {
	flags := flag.NewFlagSet("coverage", flag.ContinueOnError)
	flags.SetOutput(out)
	floor := flags.Float64("floor", 80, "least share of statements that tests must reach, in percent")
	room := flags.Float64("room", 0, "print the packages below this share, in percent")
	if flags.Parse(args) != nil || flags.NArg() == 0 {
		fmt.Fprintln(out, "usage: housecheck coverage [-floor 80] [-room 70] PROFILE...")
		return exitUsage
	}
	all := profile{}
	for _, file := range flags.Args() {
		if err := all.read(file); err != nil {
			fmt.Fprintf(out, "housecheck: reading the coverage profile: %v (make test writes it)\n", err)
			return exitFound
		}
	}
	rooms, total := all.shares()
	for _, r := range rooms {
		if r.percent() < *room {
			fmt.Fprintf(out, "%6.1f %%  %5d statements  %s\n", r.percent(), r.statements, r.dir)
		}
	}
	fmt.Fprintf(out, "coverage: %.1f %% of %d statements (floor %.0f %%)\n", total.percent(), total.statements, *floor)
	if total.statements == 0 || total.percent() < *floor {
		return exitFound
	}
	return exitOK
}

// read adds the profile in the named file.
func (p profile) read(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if strings.HasPrefix(text, "mode:") || uncounted.MatchString(text) {
			continue
		}
		place, b, err := parseBlock(text)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		b.covered = b.covered || p[place].covered
		p[place] = b
	}
	return lines.Err()
}

// parseBlock reads "file.go:1.2,3.4 statements count".
func parseBlock(text string) (place string, b block, err error) {
	words := strings.Fields(text)
	if len(words) != 3 {
		return "", b, fmt.Errorf("want three words, got %q", text)
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return "", b, err
	}
	return words[0], block{statements: n, covered: words[2] != "0"}, nil
}

// share is how much of a package the tests reach.
type share struct {
	dir                 string
	statements, covered int
}

func (s share) percent() float64 {
	if s.statements == 0 {
		return 100
	}
	return 100 * float64(s.covered) / float64(s.statements)
}

func (p profile) shares() (rooms []share, total share) {
	byDir := map[string]share{}
	for place, b := range p {
		file, _, _ := strings.Cut(place, ":")
		s := byDir[path.Dir(file)]
		s.dir = path.Dir(file)
		s.statements += b.statements
		total.statements += b.statements
		if b.covered {
			s.covered += b.statements
			total.covered += b.statements
		}
		byDir[s.dir] = s
	}
	for _, s := range byDir {
		rooms = append(rooms, s)
	}
	sort.Slice(rooms, func(i, j int) bool { return rooms[i].percent() < rooms[j].percent() })
	return rooms, total
}
