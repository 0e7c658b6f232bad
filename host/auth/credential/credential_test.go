package credential_test

import (
	"crypto/sha256"
	"regexp"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth/credential"
)

func TestNew(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^cb_[a-z2-7]{12}_[a-z2-7]{39}$`)
	seen := map[string]bool{}
	for range 1000 {
		c := credential.New(credential.KindToken)
		if !form.MatchString(c.Text) {
			t.Fatalf("text %q has not the documented form", c.Text)
		}
		if seen[c.Text] || seen[c.ID] {
			t.Fatalf("%q was made twice", c.ID)
		}
		seen[c.Text], seen[c.ID] = true, true
		id, err := credential.Parse(credential.KindToken, c.Text)
		if err != nil || id != c.ID {
			t.Fatalf("Parse = %q, %v; want %q", id, err, c.ID)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	good := credential.New(credential.KindToken).Text
	flipped := []byte(good)
	flipped[20] = map[bool]byte{true: 'b', false: 'a'}[flipped[20] == 'a']
	tests := map[string]struct{ text, says string }{
		"ErrEmpty":     {"", "does not begin"},
		"ErrKind":      {credential.New(credential.KindSession).Text, "does not begin"},
		"ErrShort":     {good[:len(good)-1], "length"},
		"ErrLong":      {good + "a", "length"},
		"ErrAlphabet":  {strings.ToUpper(good[:3]) + good[3:], "does not begin"},
		"ErrCharacter": {good[:20] + "!" + good[21:], "characters"},
		"ErrSeparator": {good[:15] + "a" + good[16:], "characters"},
		"ErrChecksum":  {string(flipped), "checksum"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := credential.Parse(credential.KindToken, tc.text)
			if host.CodeOf(err) != host.CodeUnauthenticated || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error = %v, want %s saying %q", err, host.CodeUnauthenticated, tc.says)
			}
			if len(tc.text) > 20 && strings.Contains(err.Error(), tc.text[16:]) {
				t.Errorf("error %q repeats the secret", err)
			}
		})
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 55, 95, 96, 97, 5000} {
		text := strings.Repeat("a", n)
		if credential.Sum(text) != sha256.Sum256([]byte(text)) {
			t.Errorf("the sum of %d bytes is not their SHA-256", n)
		}
	}
	if c := credential.New(credential.KindToken); c.Hash() != credential.Sum(c.Text) {
		t.Error("the hash is not that of the text")
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	c := credential.New(credential.KindLink)
	if got, want := credential.Mask(c.Text), "cbl_"+c.ID+"_…"; got != want {
		t.Errorf("Mask = %q, want %q", got, want)
	}
	if got := credential.Mask("Tr0ub4dor"); got != "…" {
		t.Errorf("Mask of other text = %q, want it hidden", got)
	}
	if got := credential.Mask(""); got != "" {
		t.Errorf("Mask of nothing = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, k := range []credential.Kind{credential.KindToken, credential.KindSession, credential.KindLink} {
		f.Add(credential.New(k).Text)
	}
	f.Add("")
	f.Add("cb_")
	f.Add("cb__" + strings.Repeat("a", 60))
	f.Add("cb_\x00\xff" + strings.Repeat("é", 30))
	f.Fuzz(func(t *testing.T, text string) {
		accepted := 0
		for _, k := range []credential.Kind{credential.KindToken, credential.KindSession, credential.KindLink} {
			id, err := credential.Parse(k, text)
			if err != nil {
				if host.CodeOf(err) != host.CodeUnauthenticated {
					t.Fatalf("error of code %s", host.CodeOf(err))
				}
				continue
			}
			accepted++
			if !strings.HasPrefix(text, string(k)+"_"+id+"_") {
				t.Fatalf("id %q is not the one of the text", id)
			}
			if !strings.HasSuffix(credential.Mask(text), "_…") {
				t.Fatal("an accepted text is not masked")
			}
		}
		if accepted > 1 {
			t.Fatal("one text is accepted as two kinds")
		}
	})
}
