package shim

import (
	"bytes"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestArgumentsAreWanted(t *testing.T) {
	args, err := Arguments(Policy{Name: "n", Memory: 1})
	if err != nil {
		t.Fatal(err)
	}
	line := append([]string{"callboard"}, args...)
	if !Wanted(line) {
		t.Errorf("%q is not wanted", line)
	}
	for _, other := range [][]string{nil, {"callboard"}, {"callboard", "serve", "x"}, {"callboard", Verb}, append(line, "more")} {
		if Wanted(other) {
			t.Errorf("%q is wanted", other)
		}
	}
}

func TestReadReturnsWhatWasSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		said string
		want Report
		ok   bool
	}{
		"nothing":       {"", Report{}, true},
		"all is well":   {"{}\n", Report{}, true},
		"a lack":        {`{"lacking":["landlock: old"]}` + "\n", Report{Lacking: []string{"landlock: old"}}, true},
		"a late defeat": {`{"lacking":["a"]}` + "\n" + `{"failure":"no"}` + "\n", Report{Lacking: []string{"a"}, Failure: "no"}, true},
		"half a line":   {`{"lacking":["a`, Report{}, false},
		"junk":          {"fatal error", Report{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(tt.said))
			if !reflect.DeepEqual(got, tt.want) || (err == nil) != tt.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"lacking":["a"]}` + "\n" + `{"failure":"no"}`))
	f.Fuzz(func(t *testing.T, said []byte) {
		if r, err := Read(bytes.NewReader(said)); err == nil && len(said) == 0 && !reflect.DeepEqual(r, Report{}) {
			t.Errorf("silence became %+v", r)
		}
	})
}

// closed is a host that is gone.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestSaySurvivesItsHost(t *testing.T) {
	old := os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = w
	say(closed{}, Report{Failure: "no program"})
	os.Stderr = old
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || !strings.Contains(string(text), "no program") {
		t.Errorf("it wrote %q, %v", text, err)
	}
	var out bytes.Buffer
	say(&out, Report{Failure: errors.ErrUnsupported.Error()})
	if got, err := Read(&out); err != nil || got.Failure != "unsupported operation" {
		t.Errorf("got %+v, %v", got, err)
	}
}
