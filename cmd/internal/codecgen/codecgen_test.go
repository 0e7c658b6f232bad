package codecgen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/cmd/internal/codecgen"
	"github.com/callboard-dev/callboard/cmd/internal/codecgen/testdata/sample"
	"github.com/callboard-dev/callboard/schemas/codec"
)

// TestTheSampleIsFresh keeps testdata/sample what the generator writes now; run
// it with UPDATE=1 after a change of the generator.
func TestTheSampleIsFresh(t *testing.T) {
	dir := filepath.Join("testdata", "sample")
	if os.Getenv("UPDATE") != "" {
		if _, err := codecgen.Write(dir, codecgen.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	want, err := codecgen.Generate(dir, codecgen.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, codecgen.FileName))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the generator writes (%v)", codecgen.FileName, err)
	}
	if strings.Contains(string(want), "Unfit") || strings.Contains(string(want), "Wrap") {
		t.Error("a type that nobody asked for has methods")
	}
}

func pointer[T any](v T) *T { return &v }

// full has a value in each field.
func full() sample.All {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("x", 3600))
	inner := sample.Inner{Name: "n\x00\x1f\"\\\u2028é\xff<", Next: &sample.Inner{}, All: []sample.Inner{{Name: "b"}}}
	return sample.All{
		Base: sample.Base{ID: "1", Shadow: "under"}, Side: sample.Side{Clash: "a", Extra: 2}, Other: sample.Other{Clash: "b"},
		Shadow: "over", Plain: "p", Tone: "good", Yes: true, YesToo: true, I: -1, I8: -128, I64: math.MinInt64, U8: 255, U64: math.MaxUint64, Count: 7,
		F32: 1e-7, F64: 1e21, Bytes: []byte{1, 2, 255}, Doc: json.RawMessage(` { "a" : [ "<" , "x y" ] } `), At: at, Since: at, Texts: []string{"", "x"},
		Tags: sample.Tags{"t"}, Inners: []sample.Inner{inner}, Grid: [][]int{{1}, nil, {}}, Ref: &inner, Num: pointer(0.1), Deep: pointer(pointer(3)),
		Map: map[string]string{"b": "2", "a<": "1", "": "0"}, Lists: map[sample.Tone][]string{"z": nil, "y": {}}, Objects: map[string]sample.Inner{"o": inner},
		Loose: map[string]any{"k": 1.5}, Numbers: map[int]string{2: "two"}, Fixed: [2]int{3, 4}, Own: sample.Own{V: "v"}, Odd: "odd", Dash: "dash",
		Inline: struct{ X, Y int }{1, 2},
	}
}

func TestWritesWhatEncodingJSONWrites(t *testing.T) {
	inner := sample.Inner{Name: "x"}
	tests := map[string]any{
		"every field": full(), "no field": sample.All{}, "a pointer": pointer(full()), "a nil pointer": (*sample.All)(nil), "nothing": nil,
		"a named slice": sample.List{inner}, "an empty slice": sample.List{}, "a nil slice": sample.List(nil),
		"a struct that inherits methods": sample.Wrap{Inner: inner, More: "m"}, "a pointer to one": &sample.Wrap{Inner: inner, More: "m"},
		"plain values": []any{"a", 1, true, map[string]string{"b": "c", "a": "<"}}, "a map of texts": map[string]string{"b": "2", "a": "1"}, "no map": map[string]string(nil),
		"a text": "a\tb", "a number": 42, "a truth value": true,
		"a number that JSON lacks": sample.All{F64: math.NaN()}, "an infinite one": sample.All{F32: float32(math.Inf(1))},
		"a year of five digits": sample.All{Since: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "a broken document": sample.All{Doc: json.RawMessage(`{`)},
		"a tidy document": sample.All{Doc: json.RawMessage(`{"a":"b c","d":[1,2]}`)}, "a channel": sample.All{Loose: make(chan int)},
		"two documents": sample.All{Doc: json.RawMessage(`1 2`)}, "a document with U+2028": sample.All{Doc: json.RawMessage("\"\u2028\u00e9\"")},
	}
	for name, v := range tests {
		t.Run(name, func(t *testing.T) { sameText(t, v) })
	}
	t.Run("each float", func(t *testing.T) {
		for _, f := range []float64{0, math.Copysign(0, -1), 1, -1.5, 1e-6, 9.99e-7, 1e20, 1e21, 1e-9, 1e100, math.MaxFloat64, math.SmallestNonzeroFloat64, math.MaxFloat32} {
			sameText(t, sample.All{F64: f, F32: float32(f), Num: &f})
		}
	})
	t.Run("each rune of a text", func(t *testing.T) {
		for r := rune(0); r < 0x3000; r++ {
			sameText(t, sample.Inner{Name: "a" + string(r) + "b"})
		}
	})
}

func sameText(t *testing.T, v any) {
	t.Helper()
	want, wantErr := json.Marshal(v)
	got, err := codec.Marshal(v)
	if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
		t.Errorf("wrote\n%s, %v; want\n%s, %v", got, err, want, wantErr)
	}
}

func TestAValueThatHoldsItselfIsAnError(t *testing.T) {
	loop := &sample.Inner{Name: "a"}
	loop.Next = loop
	if _, err := codec.Marshal(loop); err == nil || !strings.Contains(err.Error(), "contain itself") {
		t.Errorf("got %v", err)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	got, err := codec.Append([]byte("x="), sample.Inner{Name: "n"})
	if err != nil || string(got) != `x={"name":"n"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err = codec.Append([]byte("x="), sample.All{F64: math.NaN()}); err == nil || string(got) != "x=" {
		t.Errorf("got %s, %v", got, err)
	}
}

// documents are what readers disagree about.
func documents() []string {
	every, err := json.Marshal(full())
	if err != nil {
		panic(err)
	}
	return []string{
		string(every), `null`, ` {} `, `[]`, `"x"`, ``, ` `, `{`, `{"id"`, `{"id":`, `{"id":"a"`, `{"id":"a",}`, `{"id":"a"}x`, `{,}`, `[{"name":"a"},]`, `[{"name":"a"}]`,
		`{"ID":"fold","Id":"again","id":"exact"}`, `{"TEXTS":["a"],"\u0069d":"escaped","K":1,"\u212a":2}`, `{"texts":null,"map":null,"ref":null,"num":null,"i":null,"at":null,"yes":null,"inners":null,"doc":null,"bytes":null,"own":null,"inline":null,"loose":null}`,
		`{"texts":["a","b"],"texts":["c"]}`, `{"inners":[{"name":"a","next":{"name":"n"}}],"inners":[{}]}`, `{"map":{"a":"1"},"map":{"b":"2"}}`, `{"ref":{"name":"a"},"ref":{"all":[]}}`,
		`{"i":1.0}`, `{"i":1e2}`, `{"i":-0}`, `{"i":01}`, `{"i":-}`, `{"i":+1}`, `{"i":1.}`, `{"i":.5}`, `{"i":9223372036854775808}`, `{"i8":128}`, `{"u8":-1}`, `{"u8":256}`, `{"u64":18446744073709551615}`, `{"count":32768}`,
		`{"f64":1e400}`, `{"f32":1e39}`, `{"f64":1E+2,"f32":-0.0}`, `{"f64":1e}`, `{"f64":"1"}`, `{"yes":1}`, `{"yes":"true"}`, `{"yes":tru}`, `{"yes":nul}`, `{"yes":nullx}`,
		`{"plain":1}`, `{"Plain":"` + "\x01" + `"}`, `{"Plain":"` + "\xff\xfe" + `"}`, `{"Plain":"\ud83d\ude00\ud83d\u0041\ude00"}`, `{"Plain":"\u12"}`, `{"Plain":"\x"}`, `{"Plain":"a\/\b\f\n\r\t\"\\"}`, `{"Plain":"a`, `{"Plain":"a\`, `{"Plain":"é\u00e9"}`,
		`{"bytes":"AQI="}`, `{"bytes":"AQI"}`, `{"bytes":"A\nQI="}`, `{"bytes":[1,2,255]}`, `{"bytes":[256]}`, `{"bytes":{}}`, `{"bytes":""}`, `{"bytes":[]}`, `{"null":[null,1]}`,
		`{"at":"2026-01-02T03:04:05Z"}`, `{"at":"2026-01-02T03:04:05+01:00"}`, `{"at":"yesterday"}`, `{"at":1}`, `{"at":"2026-01-02T03:04:05.123456789Z"}`,
		`{"doc": {"a" : 1} }`, `{"doc":[1,]}`, `{"doc":tru}`, `{"loose":{"a":[1,"b",null,true]}}`, `{"loose":}`, `{"numbers":{"1":"a"}}`, `{"numbers":{"x":"a"}}`, `{"fixed":[1,2,3]}`, `{"fixed":[1]}`, `{"addr":"127.0.0.1"}`, `{"addr":"x"}`, `{"own":"v"}`,
		`{"grid":[[1,2],null,[]]}`, `{"deep":3}`, `{"deep":null}`, `{"lists":{"a":["b"],"c":null}}`, `{"objects":{"a":{"name":"b"},"a":{"next":null}}}`, `{"a<b&c":"odd","-":"dash","Skipped":"no","hidden":1}`, `{"inline":{"X":1,"y":2}}`,
		`{"unknown":{"a":[1,{"b":"\u00e9"}],"c":-1.5e-3},"i":3}`, `{"unknown":[1 2]}`, `{"unknown":"` + "\x1f" + `"}`, `{"unknown":01}`, `{"clash":"x","Clash":"y","extra":5,"shadow":"s"}`, `{"id":"a" "b"}`, `{"id" "a"}`, `{1:2}`, `{"name":{}}`, `{"name":[]}`, "\ufeff{}",
		`{"more":"m","name":"n"}`, strings.Repeat(`{"next":`, 50) + "null" + strings.Repeat("}", 50),
	}
}

// deep are documents at the bound of nesting and one level beyond.
func deep() []string {
	return []string{strings.Repeat("[", 10001), `{"doc":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}`, `{"doc":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`}
}

// targets are the types that the documents are read into.
func targets() []func() any {
	return []func() any{
		func() any { return new(sample.All) }, func() any { return new(sample.Inner) }, func() any { return new(sample.List) }, func() any { return new(sample.Wrap) },
		func() any { return new(string) }, func() any { return new(int) }, func() any { return new(int64) }, func() any { return new(json.RawMessage) }, func() any { return pointer(full()) },
	}
}

func sameValue(t *testing.T, doc []byte) {
	t.Helper()
	for _, target := range targets() {
		want, got := target(), target()
		wantErr, err := json.Unmarshal(doc, want), codec.Unmarshal(doc, got)
		if (err == nil) != (wantErr == nil) {
			t.Errorf("reading %.200q into %T gives %v, want %v", doc, got, err, wantErr)
			continue
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("reading %.200q gives\n%+v, want\n%+v", doc, got, want)
		}
	}
}

func TestReadsWhatEncodingJSONReads(t *testing.T) {
	for _, doc := range append(documents(), deep()...) {
		sameValue(t, []byte(doc))
	}
	if err := codec.Unmarshal([]byte(`{}`), (*sample.All)(nil)); err == nil {
		t.Error("a nil pointer was read into")
	}
}

func TestTrustedReadsWhatIsWellFormed(t *testing.T) {
	for _, doc := range append(documents(), deep()...) {
		if !json.Valid([]byte(doc)) {
			_ = codec.UnmarshalTrusted([]byte(doc), new(sample.All)) // whatever it says, it ends
			continue
		}
		var want, got sample.All
		wantErr, err := codec.Unmarshal([]byte(doc), &want), codec.UnmarshalTrusted([]byte(doc), &got)
		got.Doc, want.Doc = bytes.TrimSpace(got.Doc), bytes.TrimSpace(want.Doc)
		if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("reading %.200q gives\n%+v, %v; want\n%+v, %v", doc, got, err, want, wantErr)
		}
	}
}

func TestStrictRefusesWhatIsUnknown(t *testing.T) {
	for _, doc := range documents() {
		decoder := json.NewDecoder(strings.NewReader(doc))
		decoder.DisallowUnknownFields()
		var want, got sample.Inner
		wantErr := decoder.Decode(&want)
		if wantErr == nil && decoder.More() {
			wantErr = errors.New("more follows")
		}
		if err := codec.UnmarshalStrict([]byte(doc), &got); (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("reading %.200q gives %+v, %v; want %+v, %v", doc, got, err, want, wantErr)
		}
	}
	if err := codec.UnmarshalStrict([]byte(`{"next":{"nam":1}}`), new(sample.Inner)); err == nil || !strings.Contains(err.Error(), `there is no field "nam" at /next/nam`) {
		t.Errorf("got %v", err)
	}
}

// FuzzDifferential: both accept the same documents with the same meaning, and
// what was read is written with the same bytes.
func FuzzDifferential(f *testing.F) {
	for _, doc := range documents() {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		sameValue(t, doc)
		_ = codec.UnmarshalTrusted(doc, new(sample.All)) // it must end
		var all sample.All
		if codec.Unmarshal(doc, &all) == nil {
			sameText(t, all)
		}
	})
}

func TestErrorsNameThePlace(t *testing.T) {
	tests := map[string]struct{ doc, want string }{
		"in an object":          {`{"ref":{"name":3}}`, "want a string, got a number at /ref/name"},
		"in an array":           {`{"inners":[{},{"name":true}]}`, "got a truth value at /inners/1/name"},
		"in a map":              {`{"objects":{"a/b":{"name":[]}}}`, "got an array at /objects/a~1b/name"},
		"out of range":          {`{"grid":[[1],[2,3.5]]}`, "3.5 at /grid/1/1"},
		"in what is skipped":    {`{"x":[{"y":!}]}`, "want a value, got '!' at /x/0/y"},
		"at the end":            {`{"id":"a"`, "want a comma or }, got the end of the document"},
		"behind the end":        {`{} {}`, "want the end of the document"},
		"in a time":             {`{"at":"noon"}`, "want a time like 2006-01-02T15:04:05Z at /at"},
		"by encoding/json":      {`{"fixed":"x"}`, "cannot unmarshal string into Go value of type [2]int at /fixed"},
		"in a base64 text":      {`{"bytes":"?"}`, "want a string in base64 at /bytes"},
		"of the whole document": {`3`, "want an object, got a number (byte 0)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := codec.Unmarshal([]byte(tt.doc), new(sample.All))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// folder makes a package of one file.
func folder(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRefusesWhatItCannotServe(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"the option string":     {"type T struct {\n\tN int `json:\",string\"`\n}", "p.go:7: the type T cannot have a codec: its field N has the option string"},
		"an embedded pointer":   {"type T struct {\n\t*U\n}\ntype U struct{}", "embeds a pointer"},
		"an embedded foreigner": {"type T struct {\n\ttime.Time\n}", "of another package"},
		"methods of its own":    {"type T struct{}\nfunc (T) MarshalJSON() ([]byte, error) { return nil, nil }", "methods of its own"},
		"type parameters":       {"type T[V any] struct{ V V }", "type parameters"},
		"another name":          {"type T = time.Time", "another name"},
		"a plain string":        {"type T string", "neither a struct"},
		"an unknown emptiness":  {"type T struct {\n\tA time.Duration `json:\"a,omitempty\"`\n}", "is empty is known"},
		"an unknown zero":       {"type T struct {\n\tA U `json:\"a,omitzero\"`\n}\ntype U struct{}", "is zero is known"},
		"broken source":         {"type T struct {", "p.go:"},
		"an odd map":            {"type T map[int]string", "encoding/json can serve"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := codecgen.Generate(folder(t, "package p\n\nimport \"time\"\n\n//callboard:codec\n"+tt.source+"\n"), codecgen.Settings{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestWriteWritesWhatIsNeeded(t *testing.T) {
	dir := folder(t, "package p\n\n//callboard:codec\ntype T struct{ A int }\n")
	file := filepath.Join(dir, codecgen.FileName)
	for i, want := range []bool{true, false} {
		if changed, err := codecgen.Write(dir, codecgen.Settings{}); err != nil || changed != want {
			t.Errorf("write %d changed something: %t, %v", i, changed, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte("package p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := codecgen.Write(dir, codecgen.Settings{}); err != nil || !changed {
		t.Errorf("without a mark: %t, %v", changed, err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}
