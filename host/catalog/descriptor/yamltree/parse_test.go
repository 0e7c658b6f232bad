package yamltree

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Run("ScalarsHaveTheirCoreMeaning", func(t *testing.T) {
		src := "[yes, 010, 0x1F, 0o17, -0, +7, 1_000, 1e3, .5, -1.50, .inf, .nan, 2021-01-01, ~, null, '', True, 'true', !!str 12, 12345678901234567890, a: 1]"
		want := `["yes",10,31,15,0,7,"1_000",1000,0.5,-1.5,".inf",".nan","2021-01-01",null,null,"",true,"true","12",12345678901234567890,{"a":1}]`
		docs, problems := Parse([]byte(src), Limits{})
		if len(problems) != 0 || len(docs) != 1 {
			t.Fatal(problems)
		}
		if got := string(docs[0].AppendJSON(nil)); got != want || !json.Valid([]byte(got)) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("BrokenDocumentDoesNotHideOthers", func(t *testing.T) {
		docs, problems := Parse([]byte("%YAML 1.2\n# c\n---\na: 1\n---\n  b: 1\n c: 2\n---\n# nothing\n---\nd: 1\n...\n---\ne: |\n  x\n"), Limits{})
		if len(docs) != 3 || len(problems) != 1 || problems[0].Line != 7 {
			t.Fatalf("%d, %+v", len(docs), problems)
		}
		if docs[0].Get("a").Line != 4 || docs[1].Fields[0].Line != 11 || docs[2].Get("e").Str() != "x\n" {
			t.Error("wrong lines or values")
		}
	})
	t.Run("AliasesAreShared", func(t *testing.T) {
		docs, problems := Parse([]byte("\xef\xbb\xbfa: &a {x: [1]}\nb: *a\n*a : c\n"), Limits{})
		if len(docs) != 0 || len(problems) != 1 {
			t.Fatalf("a map as key: %+v", problems)
		}
		docs, _ = Parse([]byte("a: &a {x: [1]}\nb: *a\n"), Limits{})
		if docs[0].Get("a") != docs[0].Get("b") || docs[0].Get("b", "x").Kind != List || docs[0].Get("b", "y", "z") != nil {
			t.Error("not shared")
		}
	})
	for name, c := range map[string]struct {
		text string
		line int
		want string
	}{
		"Tab":         {"a: b\n\tc: d\n", 2, "tab"},
		"Colon":       {"x: 1\na: b: c\n", 2, "mapping values"},
		"Indent":      {"a:\n  b: 1\n c: 2\n", 3, "expected key"},
		"Duplicate":   {"a: 1\nb: 2\na: 3\n", 3, "stands here twice, first on line 1"},
		"Cycle":       {"a: &a\n  b: *a\n", 2, "inside of what it names"},
		"NoAnchor":    {"a: 1\nb: *x\n", 2, "unknown anchor"},
		"At":          {"a: @foo\n", 1, "cannot start any token"},
		"NotUTF8":     {"a: 1\nb: \xff\n", 2, "not UTF-8"},
		"KeyIsAList":  {"? [a]\n: b\n", 1, "a key is a list or a map"},
		"Unclosed":    {"a: 'x\n", 2, "unexpected end"},
		"TooDeep":     {strings.Repeat("[", 150) + strings.Repeat("]", 150), 1, "more than 100 levels"},
		"AliasBomb":   {bomb(12), 1, "aliases are expanded"},
		"TooLong":     {"a: " + strings.Repeat("x", 11<<20), 0, "more than the 10485760"},
		"Sequence":    {strings.Repeat("- a\n", 2<<20), 600002, "more than 300000 values"},
		"FlowList":    {"a: [" + strings.Repeat("a,", 4<<20) + "]", 1, "more than 300000 values"},
		"QuoteInside": {"a: [a \"b, " + strings.Repeat("c,", 4<<20) + "\"]", 1, "more than 300000 values"},
	} {
		t.Run("Err"+name, func(t *testing.T) {
			begin := time.Now()
			docs, problems := Parse([]byte(c.text), Limits{})
			if len(docs) != 0 || len(problems) != 1 || problems[0].Line != c.line || !strings.Contains(problems[0].Message, c.want) || problems[0].Hint == "" {
				t.Errorf("%d documents, %+v; want line %d %q", len(docs), problems, c.line, c.want)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	for name, text := range map[string]string{
		"BlockText":   "a: |\n" + strings.Repeat("  a, b: c\n", 900_000) + "b: 1\n",
		"FoldedStrip": "a:\n  b: >-\n" + strings.Repeat("    [,,,,]\n", 900_000) + "  c: 1\n",
		"Quoted":      "a: \"" + strings.Repeat("a,b:c\\\",", 1_000_000) + "\"\n",
		"SingleQuote": "a: '" + strings.Repeat("a,b:''", 1_500_000) + "'\n",
		"Comment":     "a: 1\n" + strings.Repeat("# a,b,c,d: e\n", 500_000),
	} {
		t.Run("OKTenMegabytesOf"+name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			docs, problems := Parse([]byte(text), Limits{})
			runtime.ReadMemStats(&after)
			if len(problems) != 0 && name != "Comment" || len(docs) > 1 {
				t.Errorf("%d, %.200s", len(docs), fmt.Sprint(problems))
			}
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 400 {
				t.Errorf("allocated %d MiB", mb)
			}
		})
	}
}

// bomb returns lists of aliases of lists, 9 to the power of n values.
func bomb(n int) string {
	s := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < n; i++ {
		s += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 8), i-1)
	}
	return s
}

func TestParseJSON(t *testing.T) {
	src := "{\"b\": [1, 2.50, true, null, \"\\u00e4\\n\"],\n \"a\": {}}"
	n, p := ParseJSON([]byte(src), Limits{})
	if p != nil {
		t.Fatal(p)
	}
	if got := string(n.AppendJSON(nil)); got != `{"b":[1,2.50,true,null,"ä\n"],"a":{}}` || n.Fields[1].Line != 2 {
		t.Errorf("%s, line %d", got, n.Fields[1].Line)
	}
	for _, bad := range []string{"", "{", "[1", "{\"a\"}", "1 2", "{\n1:2}", "nul", strings.Repeat("[", 200), "[" + strings.Repeat("1,", 400_000) + "1]"} {
		if _, p := ParseJSON([]byte(bad), Limits{}); p == nil || p.Message == "" || p.Line < 1 {
			t.Errorf("%.20q: %+v", bad, p)
		}
	}
	if _, p := ParseJSON(make([]byte, 11<<20), Limits{}); p == nil {
		t.Error("a long text is accepted")
	}
}

func TestNode(t *testing.T) {
	var none *Node
	if none.Get("a") != nil || none.Str() != "" || none.With("a", Text("b", 1)).Get("a").Str() != "b" {
		t.Error("nil nodes")
	}
	n := none.With("a", Text("1", 1)).With("b", Text("2\x01\"", 1)).With("a", Text("3", 1))
	if got := string(n.Without("x").AppendJSON(nil)); got != `{"a":"3","b":"2\u0001\""}` {
		t.Error(got)
	}
	if got := string(Text("\xff", 0).AppendJSON(nil)); !json.Valid([]byte(got)) {
		t.Error(got)
	}
	for k := Null; k <= Map; k++ {
		if k.String() == "" {
			t.Error(k)
		}
	}
}
