package memo_test

import (
	"testing"

	"github.com/callboard-dev/callboard/host/auth/memo"
)

func TestMemo(t *testing.T) {
	t.Parallel()
	t.Run("Bounded", func(t *testing.T) {
		t.Parallel()
		m := memo.New[int, int](3)
		for i := range 100 {
			m.Put(m.Era(), i, i*i)
			if v, ok := m.Get(i); !ok || v != i*i {
				t.Fatalf("Get(%d) = %d, %v", i, v, ok)
			}
		}
		if m.Len() != 3 {
			t.Fatalf("Len = %d, want 3", m.Len())
		}
		m.Put(m.Era(), 99, 1)
		if m.Len() != 3 {
			t.Fatalf("replacing a value dropped another: Len = %d", m.Len())
		}
	})
	t.Run("SizeAtLeastOne", func(t *testing.T) {
		t.Parallel()
		m := memo.New[int, int](0)
		if m.Put(m.Era(), 1, 1); m.Len() != 1 {
			t.Fatal("a memo without a size holds nothing")
		}
	})
	t.Run("OldLookUpIsNotRemembered", func(t *testing.T) {
		t.Parallel()
		m := memo.New[string, int](8)
		for name, forget := range map[string]func(){"Delete": func() { m.Delete("k") }, "Clear": m.Clear} {
			m.Put(m.Era(), "k", 1)
			era := m.Era()
			forget()
			if m.Put(era, "k", 1) {
				t.Errorf("after %s an old look-up was remembered", name)
			}
			if _, ok := m.Get("k"); ok {
				t.Errorf("after %s the value is still there", name)
			}
		}
	})
}
