package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/sys"
	"pgregory.net/rapid"
)

// memory reads the guest's memory.
func (g *guest) memory(t tester, at, n uint32) []byte {
	t.Helper()
	b, ok := g.module.Memory().Read(at, n)
	if !ok {
		t.Fatal("beyond the memory")
	}
	return b
}

// onWASI runs steps on a guest whose memory begins with data.
func onWASI(t *testing.T, c *Call, data []byte, all ...step) ([]uint64, *guest, error) {
	t.Helper()
	g := open(t, program(ModuleWASI, wasi(), all, data))
	err := g.call(t, c)
	return g.noted, g, err
}

func TestNothingIsThere(t *testing.T) {
	at := word(1024)
	for name, s := range map[string]struct {
		step step
		want uint64
	}{
		"Path":            {do("path_open", word(3), word(0), at, word(9), word(0), value(-1), value(-1), word(0), at), badf},
		"PathFromStdin":   {do("path_open", word(0), word(0), at, word(9), word(0), value(-1), value(-1), word(0), at), badf},
		"Preopen":         {do("fd_prestat_get", word(3), at), badf},
		"PreopenOfStdout": {do("fd_prestat_get", word(1), at), badf},
		"PreopenName":     {do("fd_prestat_dir_name", word(3), at, word(100)), badf},
		"Unlink":          {do("path_unlink_file", word(3), at, word(9)), badf},
		"Link":            {do("path_link", word(3), word(0), at, word(9), word(4), at, word(9)), badf},
		"Symlink":         {do("path_symlink", at, word(9), word(3), at, word(9)), badf},
		"Readlink":        {do("path_readlink", word(3), at, word(9), at, word(9), at), badf},
		"Folder":          {do("fd_readdir", word(3), at, word(100), value(0), at), badf},
		"File":            {do("fd_filestat_get", word(7), at), badf},
		"Read":            {do("fd_read", word(4), at, word(1), at), badf},
		"ReadStdin":       {do("fd_read", word(0), at, word(1), at), success},
		"Write":           {do("fd_write", word(0), at, word(1), at), badf},
		"Close":           {do("fd_close", word(3)), badf},
		"CloseStdout":     {do("fd_close", word(1)), success},
		"Renumber":        {do("fd_renumber", word(1), word(0)), badf},
		"Seek":            {do("fd_seek", word(1), value(0), word(0), at), spipe},
		"SeekNothing":     {do("fd_seek", word(9), value(0), word(0), at), badf},
		"Socket":          {do("sock_accept", word(3), word(0), at), badf},
		"Send":            {do("sock_send", word(1), at, word(1), word(0), at), badf},
		"Signal":          {do("proc_raise", word(9)), nosys},
		"Yield":           {do("sched_yield"), success},
		"OtherClock":      {do("clock_time_get", word(2), value(0), at), inval},
		"Resolution":      {do("clock_res_get", word(1), at), success},
		"NoResolution":    {do("clock_res_get", word(5), at), inval},
		"BeyondMemory":    {do("clock_time_get", word(0), value(0), word(2*pageSize-4)), fault},
		"FarBeyondMemory": {do("random_get", word(-4), word(8)), fault},
		"PollNothing":     {do("poll_oneoff", at, at, word(0), at), inval},
		"PollTooMuch":     {do("poll_oneoff", at, at, word(1<<28), at), fault},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _, err := onWASI(t, &Call{}, nil, s.step); err != nil || got[0] != s.want {
				t.Errorf("got %v, %v, want %d", got, err, s.want)
			}
		})
	}
	t.Run("ArgumentsAndEnvironment", func(t *testing.T) {
		t.Setenv("CALLBOARD_CANARY", "canary")
		got, g, err := onWASI(t, &Call{}, bytes.Repeat([]byte{0xff}, 64), do("args_sizes_get", word(0), word(4)), do("environ_sizes_get", word(8), word(12)),
			do("args_get", word(32), word(40)), do("environ_get", word(32), word(40)))
		if err != nil || got[0]|got[1]|got[2]|got[3] != 0 || !bytes.Equal(g.memory(t, 0, 16), make([]byte, 16)) || g.memory(t, 32, 1)[0] != 0xff {
			t.Errorf("got %v, %v, %x", got, err, g.memory(t, 0, 48))
		}
	})
	t.Run("StandardStreams", func(t *testing.T) {
		got, g, err := onWASI(t, &Call{}, bytes.Repeat([]byte{0xff}, 100), do("fd_fdstat_get", word(1), word(0)), do("fd_filestat_get", word(2), word(32)), do("fd_fdstat_get", word(3), word(0)))
		if b := g.memory(t, 0, 96); err != nil || got[0]|got[1] != 0 || got[2] != badf || b[0] != charFile || b[48] != charFile {
			t.Errorf("got %v, %v, %x", got, err, b)
		}
	})
}

func TestWorld(t *testing.T) {
	ask := []step{do("clock_time_get", word(0), value(0), word(0)), do("clock_time_get", word(1), value(0), word(8)), do("random_get", word(16), word(16))}
	read := func(t *testing.T, c *Call) (wall, mono int64, random string) {
		got, g, err := onWASI(t, c, nil, ask...)
		if err != nil || got[0]|got[1]|got[2] != 0 {
			t.Fatalf("got %v, %v", got, err)
		}
		b := g.memory(t, 0, 32)
		return int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:])), string(b[16:])
	}
	t.Run("Real", func(t *testing.T) {
		wall, mono, random := read(t, &Call{})
		_, later, other := read(t, &Call{})
		if d := time.Since(time.Unix(0, wall)); d < 0 || d > time.Minute || mono < monotonicBase || later <= mono || random == other || random == strings.Repeat("\x00", 16) {
			t.Errorf("off by %s; %d, then %d; %x, then %x", d, mono, later, random, other)
		}
	})
	t.Run("Given", func(t *testing.T) {
		wall, mono, random := read(t, &Call{
			Walltime: func() (int64, int32) { return 12, 34 }, Nanotime: func() int64 { return 56 }, Random: strings.NewReader("0123456789abcdef0123"),
		})
		if wall != 12_000_000_034 || mono != 56 || random != "0123456789abcdef" {
			t.Errorf("got %d, %d, %q", wall, mono, random)
		}
	})
	t.Run("RandomnessThatEnds", func(t *testing.T) {
		if got, _, err := onWASI(t, &Call{Random: strings.NewReader("01")}, nil, ask[2]); err != nil || got[0] != ioError {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

// subscription is one of poll_oneoff.
func subscription(user uint64, kind byte, id uint32, timeout uint64, flags uint16) []byte {
	b := binary.LittleEndian.AppendUint64(nil, user)
	b = append(b, kind, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(id))
	b = binary.LittleEndian.AppendUint64(b, timeout)
	b = binary.LittleEndian.AppendUint64(b, 0)
	return binary.LittleEndian.AppendUint64(b, uint64(flags))
}

func TestSleep(t *testing.T) {
	poll := func(n int64) step { return do("poll_oneoff", word(0), word(512), word(n), word(1000)) }
	run := func(t *testing.T, c *Call, subs ...[]byte) (events []byte, n uint32, errno uint64, took time.Duration, err error) {
		begin := time.Now()
		got, g, err := onWASI(t, c, bytes.Join(subs, nil), poll(int64(len(subs))))
		if err != nil {
			return nil, 0, 0, time.Since(begin), err
		}
		return g.memory(t, 512, 96), binary.LittleEndian.Uint32(g.memory(t, 1000, 4)), got[0], time.Since(begin), nil
	}
	const ms = uint64(time.Millisecond)
	t.Run("UntilTheFirst", func(t *testing.T) {
		e, n, errno, took, err := run(t, &Call{}, subscription(7, eventClock, 1, uint64(time.Hour), 0), subscription(9, eventClock, 1, 20*ms, 0))
		if err != nil || errno != 0 || n != 1 || e[0] != 9 || took < 20*time.Millisecond || took > 20*time.Second {
			t.Errorf("%d events, %x, after %s: %v", n, e, took, err)
		}
	})
	t.Run("UntilAPointInTime", func(t *testing.T) {
		slept := time.Duration(0)
		c := &Call{Nanotime: func() int64 { return 1000 + int64(slept) }, Sleep: func(d time.Duration) { slept += d }}
		e, n, _, _, err := run(t, c, subscription(9, eventClock, 1, 5000, flagAbsolute), subscription(8, eventClock, 1, 9000, flagAbsolute))
		if err != nil || n != 1 || e[0] != 9 || slept != 4000 {
			t.Errorf("%d events, %x, after %s: %v", n, e, slept, err)
		}
	})
	t.Run("DescriptorsAtOnce", func(t *testing.T) {
		e, n, _, took, err := run(t, &Call{}, subscription(1, 1, 0, 0, 0), subscription(2, eventWrite, 1, 0, 0), subscription(3, eventWrite, 9, 0, 0), subscription(4, eventClock, 1, uint64(time.Hour), 0))
		if err != nil || n != 3 || e[8] != success || e[32+8] != notsup || e[64+8] != badf || took > 20*time.Second {
			t.Errorf("%d events, %x, after %s: %v", n, e, took, err)
		}
	})
	t.Run("NotBeyondTheDeadline", func(t *testing.T) {
		_, _, _, took, err := run(t, &Call{Deadline: time.Now().Add(50 * time.Millisecond)}, subscription(7, eventClock, 1, uint64(time.Hour), 0))
		var f *Fault
		if !errors.As(err, &f) || f.Kind != Deadline || took > 20*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
	t.Run("KindsThatAreNone", func(t *testing.T) {
		for _, s := range [][]byte{subscription(1, 3, 0, 0, 0), subscription(1, eventClock, 1, 0, 2)} {
			if _, _, errno, _, err := run(t, &Call{}, s); err != nil || errno != inval {
				t.Errorf("got %d, %v", errno, err)
			}
		}
	})
	t.Run("GivenUp", func(t *testing.T) {
		g := open(t, program(ModuleWASI, wasi(), []step{poll(1)}, subscription(7, eventClock, 1, uint64(time.Hour), 0)))
		ctx, cancel := context.WithCancel(context.Background())
		if err := g.state.Begin(ctx, &Call{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		var f *Fault
		if err := g.run.CallWithStack(g.state, make([]uint64, 1)); !errors.As(err, &f) || f.Kind != Cancelled {
			t.Errorf("got %v", err)
		}
	})
}

func TestWriting(t *testing.T) {
	text := "hello\npanic: no\n"
	vectors := binary.LittleEndian.AppendUint32(nil, 100)
	vectors = binary.LittleEndian.AppendUint32(vectors, uint32(len(text)))
	vectors = binary.LittleEndian.AppendUint32(vectors, 100)
	vectors = binary.LittleEndian.AppendUint32(vectors, 5)
	data := append(append(vectors, make([]byte, 100-len(vectors))...), text...)
	write := func(fd, count int64) step { return do("fd_write", word(fd), word(0), word(count), word(64)) }
	got := map[string]string{}
	c := &Call{LogBytes: 18, Log: func(stream string, text []byte) { got[stream] = string(text) }}
	noted, g, err := onWASI(t, c, data, write(1, 1), write(2, 2), write(2, 1), write(1, 1<<29))
	if err != nil || noted[0] != 0 || noted[3] != fault {
		t.Fatalf("got %v, %v", noted, err)
	}
	if n := binary.LittleEndian.Uint32(g.memory(t, 64, 4)); n != uint32(len(text)) {
		t.Errorf("it wrote %d", n)
	}
	if string(g.state.Written("stdout")) != text || g.state.Written("nothing") != nil {
		t.Errorf("so far %q", g.state.Written("stdout"))
	}
	g.state.Reset()
	if got["stdout"] != text || got["stderr"] != (text + "hello")[:18]+cutMark || !clean(g.state) {
		t.Errorf("the log got %q", got)
	}
	t.Run("ADyingGuestIsNotHeardOut", func(t *testing.T) {
		for text, kind := range map[string]Kind{
			"runtime: goroutine stack exceeds 1-byte limit\n": Stack, "x\nfatal error: out of memory\n": Memory, "fatal error: the disk is full\n": "",
		} {
			vectors := binary.LittleEndian.AppendUint32(nil, 100)
			vectors = binary.LittleEndian.AppendUint32(vectors, uint32(len(text)))
			data := append(append(vectors, make([]byte, 92)...), text...)
			_, _, err := onWASI(t, &Call{LogBytes: len(text) + 10}, data, write(2, 1), write(2, 1))
			var f *Fault
			if (kind != "") != errors.As(err, &f) || f != nil && f.Kind != kind {
				t.Errorf("%q gave %v", text, err)
			}
		}
	})
}

// TestHostileArguments: no arguments make a host function fail as a program.
func TestHostileArguments(t *testing.T) {
	modules := map[string][]function{ModuleExtism: extism(), ModuleUser: user(), ModuleWASI: wasi()}
	rapid.Check(t, func(t *rapid.T) {
		var list []function
		for _, m := range []string{ModuleExtism, ModuleUser, ModuleWASI} {
			list = append(list, modules[m]...)
		}
		var all []step
		number := rapid.OneOf(rapid.Int64Range(-20, 20), rapid.Int64Range(60, 300), rapid.Int64Range(2*pageSize-70, 2*pageSize+70), rapid.Int64())
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			f := list[rapid.IntRange(0, len(list)-1).Draw(t, "function")]
			s := step{name: f.name}
			for _, p := range f.params {
				s.args = append(s.args, arg{of: -1, plus: number.Draw(t, "argument"), small: p == i32})
			}
			all = append(all, s)
		}
		g := open(t, programOf(modules, all, rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "memory")))
		err := g.call(t, &Call{Input: []byte("input"), LogBytes: 50, Output: 1000, Memory: 1 << 20, Deadline: time.Now().Add(time.Minute),
			Host: func(_ context.Context, r []byte) []byte { return r }, Sleep: func(time.Duration) {}})
		var f *Fault
		var exit *sys.ExitError
		if err != nil && !errors.As(err, &f) && !errors.As(err, &exit) {
			t.Fatalf("it failed: %v", err)
		}
		if g.state.Output() == nil && g.state.outputLength > 0 {
			t.Fatal("the output is not in the memory")
		}
		g.state.Reset()
		if !clean(g.state) {
			t.Fatal("something is left after Reset")
		}
	})
}
