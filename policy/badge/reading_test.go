package badge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

// What nobody sees in a number makes it no other card, wherever it stands.
func TestInvisibleCharacters(t *testing.T) {
	b := newRegistry(t, newMemory(), keyLine('a'))
	if _, err := b.Enrol(t.Context(), number, enrolment(ada)); err != nil {
		t.Fatal(err)
	}
	for _, read := range []string{
		"\x02" + number + "\x03", "\x00" + number, number + "\r\n", "\ufeff" + number, number[:3] + "\u200b" + number[3:],
		"\u2066" + number + "\u2069", "\t" + number + "\x1b", "\u00ad" + number + "\u0085",
	} {
		if got, err := b.Resolve(t.Context(), read, now); err != nil || got.Owner != ada {
			t.Errorf("%q: %+v %v", read, got, err)
		}
	}
	if _, err := b.Enrol(t.Context(), "\x02"+number, enrolment(grace)); !errors.Is(err, ErrTaken) {
		t.Errorf("the same card once more: %v", err)
	}
}

// A badge that an earlier version stored with such characters is found as they are read,
// and is stored anew without them.
func TestInvisibleBefore(t *testing.T) {
	kv := newMemory()
	b := newRegistry(t, kv, keyLine('a'))
	read := "\x02" + number + "\x03"
	put := func() {
		t.Helper()
		clear(kv.data)
		if ok, err := b.put(t.Context(), storeKey(b.keys.list[0], read), Badge{ID: "0123456789abcdef", Owner: ada}, 0); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	put()
	if _, err := b.Enrol(t.Context(), read, enrolment(grace)); !errors.Is(err, ErrTaken) {
		t.Errorf("of somebody else: %v", err)
	}
	for range 2 {
		if got, err := b.Resolve(t.Context(), read, now); err != nil || got.Owner != ada ||
			got.ID != "0123456789abcdef" || len(kv.data) != 1 {
			t.Errorf("%+v %v, %d stored", got, err, len(kv.data))
		}
	}
	if got, err := b.Resolve(t.Context(), number, now); err != nil || got.Owner != ada {
		t.Errorf("without them: %+v %v", got, err)
	}
	put()
	if done, err := b.Revoke(t.Context(), Which{Number: read}, "x", now); err != nil || len(done) != 1 {
		t.Errorf("revoke: %+v %v", done, err)
	}
	if _, err := b.Resolve(t.Context(), read, now); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
}

// Marks around a number and keyboard layouts are for steps of the chain; what no card
// has is told when the badge is enrolled, without the number.
func TestMarksAndLayouts(t *testing.T) {
	for _, c := range []struct {
		steps      []string
		read, want string
	}{
		{[]string{"hex"}, ";04A21BC3?", "04A21BC3"},
		{[]string{"hex", "upper"}, "0x04a2:1b-c3\x03", "04A21BC3"},
		{[]string{"hex"}, "%+?", ""},
		{[]string{"layout:fr"}, `&é"'(-è_çà`, "1234567890"},
		{[]string{"trim", "upper", "layout:fr"}, `à'q"Q`, "04A3A"},
		{[]string{"layout:fr", "hex", "upper"}, `m04à'q"Q`, "0404A3A"},
		{[]string{"layout:be"}, `&é"'(§è!çà`, "1234567890"},
		{[]string{"layout:cz"}, "+ěščřžýáíé", "1234567890"},
		{[]string{"upper", "layout:cz"}, "+ěščřžýáíé", "1234567890"},
		{[]string{"layout:sk"}, "+ľščťžýáíé", "1234567890"},
		{[]string{"layout:hu"}, "ö12y", "012z"},
		{[]string{"layout:de"}, "YZ12", "ZY12"},
	} {
		if got, err := mustChain(t, c.steps...).Apply(c.read); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v of %q: %q %v", c.steps, c.read, got, err)
		}
	}
	if _, err := ParseChain([]string{"layout:xx"}); err == nil || !strings.Contains(err.Error(), "be, cz, de, fr, hu, sk") {
		t.Errorf("an unknown layout: %v", err)
	}
	b := newRegistry(t, newMemory(), keyLine('a'))
	for read, odd := range map[string]bool{number: false, "04:A2-1B C3": false, ";1234567890?": true, `&é"'(-è`: true, "+ěščř": true} {
		got, err := b.Enrol(t.Context(), read, Enrolment{Owner: ada, Now: now, Replace: true})
		if err != nil || (got.Warning != "") != odd || strings.Contains(got.Warning, read) {
			t.Errorf("%q: %+v %v", read, got, err)
		}
	}
	if err := b.List(t.Context(), "", func(b Badge) error {
		if b.Warning != "" {
			t.Errorf("stored: %+v", b)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// A number that can't tell a card from others is not enrolled, by none of the ways.
func TestTooShort(t *testing.T) {
	b := newRegistry(t, newMemory(), keyLine('a'))
	code, err := b.IssueCode(t.Context(), enrolment(ada), MaxCodeLife, strings.NewReader(strings.Repeat("x", 100)))
	if err != nil {
		t.Fatal(err)
	}
	for _, read := range []string{"7", "\x02123\x03", "0000000000", "ffFFffFF"} {
		if _, err := b.Enrol(t.Context(), read, enrolment(ada)); !errors.Is(err, ErrNumber) {
			t.Errorf("enrol %q: %v", read, err)
		}
		if _, err := b.Redeem(t.Context(), code, read, now); !errors.Is(err, ErrNumber) {
			t.Errorf("redeem %q: %v", read, err)
		}
		var rows ImportError
		if n, err := b.Import(t.Context(), strings.NewReader("badge,owner\n"+read+","+ada+"\n"), enrolment("")); !errors.As(err, &rows) ||
			n != 0 {
			t.Errorf("import %q: %v", read, err)
		}
	}
	padded := NewRegistry(newMemory(), b.keys, mustChain(t, "pad:10"))
	if _, err := padded.Enrol(t.Context(), "7", enrolment(ada)); err != nil {
		t.Errorf("with pad:10: %v", err)
	}
}

// A spreadsheet's CSV: what it has made of the numbers is told row by row, and nothing
// is stored.
func TestSpreadsheets(t *testing.T) {
	for name, c := range map[string]struct {
		chain, text string
		want        string // one mistake a line, its beginning and a part of it
	}{
		"scientific": {"trim", `2.74815E+15|"2,74815E+15"|1E+10|04E12345|1.5E10`, "2 scientific|3 scientific|4 scientific|6 scientific"},
		"formulas": {
			"trim", `"=""0001234"""|=A1|'0001234|+4912345|#REF!|########|=HYPERLINK(1)`,
			"2 formula|3 formula|4 formula|5 formula|6 narrow|7 narrow|8 formula",
		},
		"fractions":        {"trim", "1234567.0|\"1234567,00\"", "2 fraction|3 fraction"},
		"lost zeros":       {"trim", "0012345678|0012345679|12345680", "4 shorter"},
		"lost zeros, most": {"trim", "1234567890|1234567891|1234567892|1234567893|123456789", "6 shorter"},
		"lost zeros, 4 bytes": {
			"trim", "1234567890|1234567891|1234567892|1234567893|1234567894|1234567895|1234567896|1234567897|1234567898|" +
				"123456789|123456788|12345678|123456787", "11 shorter|12 shorter|13 shorter|14 shorter",
		},
		"zeros don't count": {"trim,strip-zeros", "0012345678|0012345679|12345680", ""},
		"of any length":     {"trim", "12345|1234|123456|1234567|12345678", ""},
		"rounded":           {"trim", "2748150000000000|2748160000000000", "2 15th|3 15th"},
		"long":              {"trim", "2748150000000000|2748160000000001", ""},
		"hexadecimal":       {"trim", "04A21BC3|04A21BC4|1234E100", ""},
	} {
		b := NewRegistry(newMemory(), mustKeys(t, keyLine('a')), mustChain(t, strings.Split(c.chain, ",")...))
		text := "badge,owner\n"
		for n := range strings.SplitSeq(c.text, "|") {
			text += n + "," + ada + "\n"
		}
		_, err := b.Import(t.Context(), strings.NewReader(text), enrolment(""))
		var rows ImportError
		errors.As(err, &rows)
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, "|")
		}
		if len(rows) != len(want) || err != nil && rows == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, w := range want {
			line, word, _ := strings.Cut(w, " ")
			if !strings.HasPrefix(rows[i].Error(), "line "+line+", badge: ") || !strings.Contains(rows[i].Message, word) {
				t.Errorf("%s: %v, want %s", name, rows[i], w)
			}
		}
		if strings.Contains(c.want, "shorter") {
			e := enrolment("")
			e.AsIs = true
			if _, err := b.Import(t.Context(), strings.NewReader(text), e); err != nil {
				t.Errorf("%s, as it is: %v", name, err)
			}
		}
	}
}

// What is odd about a number is told of an import as of one badge.
func TestImportTellsOfOddNumbers(t *testing.T) {
	b := newRegistry(t, newMemory(), keyLine('a'))
	const odd = "&é\"'(-è_"
	var told []*RowError
	e := enrolment("")
	e.Warned = func(rows []*RowError) { told = rows }
	text := "badge;owner\n" + number + ";" + ada + "\n\"" + strings.ReplaceAll(odd, `"`, `""`) + "\";" + ada + "\n"
	if n, err := b.Import(t.Context(), strings.NewReader(text), e); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	one, err := b.Enrol(t.Context(), odd, enrolment(ada))
	if err != nil || one.Warning == "" {
		t.Fatal(one, err)
	}
	if len(told) != 1 || told[0].Line != 3 || told[0].Column != "badge" || told[0].Message != one.Warning {
		t.Errorf("%v, want of line 3: %s", told, one.Warning)
	}
}

// A formula without quotes around it costs its row alone.
func TestBareFormula(t *testing.T) {
	b := newRegistry(t, newMemory(), keyLine('a'))
	_, err := b.Import(t.Context(), strings.NewReader("badge,owner\n=\"0001234\","+ada+"\n"+number+","+ada+"\n7,"+ada+"\n"), enrolment(""))
	var rows ImportError
	if !errors.As(err, &rows) || len(rows) != 2 || rows[0].Line != 2 || !strings.Contains(rows[0].Message, "formula") || rows[1].Line != 4 {
		t.Errorf("%v", err)
	}
}

// Encodings and separators of spreadsheets are read.
func TestSpreadsheetEncodings(t *testing.T) {
	rows := "badge,owner,user_principal_name\r\n" + number + "," + ada + ",ädä@contoso.com\r\n\"5566\"," + grace + ",\r\n"
	wide := func(text string, big bool) string {
		var out []byte
		for _, u := range utf16.Encode([]rune(text)) {
			if big {
				out = append(out, byte(u>>8), byte(u))
			} else {
				out = append(out, byte(u), byte(u>>8))
			}
		}
		return string(out)
	}
	tabs := strings.ReplaceAll(rows, ",", "\t")
	for name, text := range map[string]string{
		"UTF-8": rows, "with a mark": "\ufeff" + rows, "semicolons": strings.ReplaceAll(rows, ",", ";"), "tabs": tabs,
		"old Mac":         strings.ReplaceAll(rows, "\r\n", "\r"),
		"old Mac, named":  "sep=;\r" + strings.NewReplacer(",", ";", "\r\n", "\r").Replace(rows),
		"doubled CR":      strings.ReplaceAll(rows, "\r\n", "\r\r\n"),
		"UTF-16, old Mac": wide(strings.ReplaceAll(rows, "\r\n", "\r"), false),
		"named":           "sep=;\r\n" + strings.ReplaceAll(rows, ",", ";"),
		"UTF-16":          wide("\ufeff"+tabs, false), "UTF-16, big": wide("\ufeff"+rows, true), "no mark": wide(rows, false),
		"no mark, big": wide(rows, true),
	} {
		kv := newMemory()
		b := newRegistry(t, kv, keyLine('a'))
		if n, err := b.Import(t.Context(), strings.NewReader(text), enrolment("")); n != 2 || err != nil {
			t.Errorf("%s: %d %v", name, n, err)
			continue
		}
		if got, err := b.Resolve(t.Context(), number, now); err != nil || got.UserPrincipalName != "ädä@contoso.com" {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// Owners in a CSV file are object ids in any case, or user names that are looked up.
func TestImportOwners(t *testing.T) {
	b := newRegistry(t, newMemory(), keyLine('a'))
	calls := 0
	b.FindOwners(func(_ context.Context, name string) (string, bool, error) {
		calls++
		return strings.ToUpper(ada), name == "ada@contoso.com", nil
	})
	text := "badge,owner\n" + number + ",Ada@contoso.com\n5566,ada@contoso.com\n5567," + strings.ToUpper(grace) + "\n"
	if n, err := b.Import(t.Context(), strings.NewReader(text), enrolment("")); n != 3 || err != nil || calls != 1 {
		t.Fatalf("%d %v, %d calls", n, err, calls)
	}
	for read, owner := range map[string]string{number: ada, "5566": ada, "5567": grace} {
		if got, err := b.Resolve(t.Context(), read, now); err != nil || got.Owner != owner {
			t.Errorf("%s: %+v %v", read, got, err)
		}
	}
	_, err := b.Import(t.Context(), strings.NewReader("badge,owner\n5568,jdoe\n5569,bob@contoso.com\n"), enrolment(""))
	if err == nil || err.Error() != "line 2, owner: the owner is an Entra object id, as 11111111-2222-4333-8444-555555555555, or a user "+
		"name like anna@contoso.com\nline 3, owner: Entra knows no user of that name" {
		t.Errorf("%v", err)
	}
}
