package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/notice"
)

// memory is a bucket with one key, whichever it is.
type memory struct {
	value    []byte
	revision uint64
	busy     int // how many writes another is faster than
}

func (m *memory) Get(context.Context, string) ([]byte, uint64, error) {
	return m.value, m.revision, nil
}

func (m *memory) CompareAndSet(_ context.Context, _ string, value []byte, revision uint64, _ time.Duration) (uint64, bool, error) {
	if m.busy--; m.busy >= 0 {
		m.revision++
	}
	if revision != m.revision {
		return 0, false, nil
	}
	m.value, m.revision = value, m.revision+1
	return m.revision, true, nil
}

// A person chooses which notices they get, but for what proves who they are.
func TestChooseNotices(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		v.signIn(annaID, "/")
		off := func(page shown) (kinds []string) {
			t.Helper()
			v.sees(page, http.StatusOK, "Which notices you get", "(always)")
			for line := range strings.SplitSeq(page.text, "\n") {
				if _, rest, is := strings.Cut(line, `name="kind" value="`); is && !strings.Contains(line, " checked") {
					kind, _, _ := strings.Cut(rest, `"`)
					kinds = append(kinds, kind)
				}
			}
			return kinds
		}
		if got := off(v.open("/me/notices")); len(got) != 0 {
			t.Errorf("off at first: %q", got)
		}
		want := slices.DeleteFunc(slices.Clone(notice.Kinds), func(kind string) bool {
			return kind == notice.Aborted || kind == notice.Failed || notice.Mandatory(kind)
		})
		page := v.send("/me/notices", url.Values{"kind": {notice.Aborted, notice.Failed}})
		v.sees(page, http.StatusOK, "Your choice is saved.")
		if got := off(page); !slices.Equal(got, want) {
			t.Errorf("off: %q, want %q", got, want)
		}
	})
}

// A choice is stored although another is faster a few times, and not if it always is.
func TestChoiceConflict(t *testing.T) {
	m := &memory{busy: 2}
	c := notice.NewChoices(m)
	if err := c.SetOff(t.Context(), annaID, []string{notice.Kept, notice.BadgeEnrolled, "nothing"}); err != nil {
		t.Fatal(err)
	}
	if off, err := c.Off(t.Context(), annaID); err != nil || !slices.Equal(off, []string{notice.Kept}) {
		t.Errorf("%v: %q", err, off)
	}
	m.busy = 1000
	if err := c.SetOff(t.Context(), annaID, nil); err == nil {
		t.Error("stored over what another has stored")
	}
}
