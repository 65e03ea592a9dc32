package pdf

import (
	"reflect"

	"pullprint/trigger/pages/document"
)

// The kinds of PDF objects that are used (ISO 32000-2, 7.3). An integer is an int64, null is
// nil, and everything else is other.
type (
	name  string
	text  string // a string, decoded, at most maxText bytes of it
	dict  map[string]any
	array []any
	// ref refers to an object.
	ref struct{ number, generation int64 }
	// twice is the value of a key that a dictionary has twice with different values: readers
	// differ in which one they use.
	twice struct{}
	// word is a keyword, as obj or stream, or a bracket.
	word string
	// other is a value that is not used.
	other struct{}
)

// Memory that an object takes: an element of an array with what it points to, and an entry
// of a dictionary.
const (
	elementSize = 48
	entrySize   = 96
)

// wanted are the keys of dictionaries that are used. All others are parsed and dropped, however
// long they are.
var wanted = map[string]bool{}

func init() {
	for _, k := range []string{
		"Type", "Kids", "Pages", "Root", "Prev", "XRefStm", "Size", "W", "Index", "N", "First", "Length",
		"Filter", "DecodeParms", "Predictor", "Columns", "Colors", "BitsPerComponent", "EarlyChange",
		"Encrypt", "ID", "V", "R", "O", "U", "P", "UE", "CF", "StmF", "CFM", "Name", "EncryptMetadata",
	} {
		wanted[k] = true
	}
}

// value reads one object.
func (p *parser) value() (any, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	return p.valueOf(t, 0, true)
}

// valueOf reads the object that begins with a token. Unless keep is set, it only finds the end
// of the object.
func (p *parser) valueOf(t any, depth int, keep bool) (any, error) {
	if depth > maxDepth {
		return nil, document.ErrDamaged
	}
	switch t := t.(type) {
	case int64:
		return p.number(t), nil
	case text:
		if keep {
			return t, p.b.Keep(int64(len(t)))
		}
	case word:
		switch t {
		case "<<":
			return p.dict(depth, keep)
		case "[":
			return p.array(depth, keep)
		case "null":
			return nil, nil
		case "true", "false":
			return t == "true", nil
		}
	}
	return t, nil
}

// number returns a number, or a reference: two integers and R.
func (p *parser) number(n int64) any {
	generation, err := p.token()
	if err != nil {
		return n
	}
	g, ok := generation.(int64)
	if !ok {
		p.ahead = append(p.ahead, generation)
		return n
	}
	r, err := p.token()
	if err == nil && r == word("R") {
		return ref{n, g}
	}
	if err == nil {
		p.ahead = append(p.ahead, r)
	}
	p.ahead = append(p.ahead, generation)
	return n
}

func (p *parser) array(depth int, keep bool) (array, error) {
	var a array
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		if t == word("]") {
			return a, nil
		}
		v, err := p.valueOf(t, depth+1, keep)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(word); ok {
			return nil, document.ErrDamaged
		}
		if !keep {
			continue
		}
		if err := p.b.Keep(elementSize); err != nil {
			return nil, err
		}
		a = append(a, v)
	}
}

func (p *parser) dict(depth int, keep bool) (dict, error) {
	d := dict{}
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		if t == word(">>") {
			return d, nil
		}
		key, ok := t.(name)
		if !ok {
			return nil, document.ErrDamaged
		}
		if t, err = p.token(); err != nil {
			return nil, err
		}
		if t == word(">>") { // a key without a value at the end
			return d, nil
		}
		kept := keep && (wanted[string(key)] || depth > 0)
		v, err := p.valueOf(t, depth+1, kept)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(word); ok {
			return nil, document.ErrDamaged
		}
		if !kept {
			continue
		}
		if err := d.set(string(key), v); err != nil {
			return nil, err
		}
		if err := p.b.Keep(entrySize); err != nil {
			return nil, err
		}
	}
}

// set stores the value of a key. A second value must be the same.
func (d dict) set(key string, v any) error {
	first, again := d[key]
	switch {
	case !again:
		d[key] = v
	case key == "Kids" || key == "Pages" || key == "Type":
		return document.ErrDamaged
	case !reflect.DeepEqual(first, v):
		d[key] = twice{}
	}
	return nil
}

func isTwice(v any) bool {
	_, ok := v.(twice)
	return ok
}

// once returns an error if the dictionary has one of the keys twice with different values.
func (d dict) once(keys ...string) error {
	for _, k := range keys {
		if isTwice(d[k]) {
			return document.ErrDiffer
		}
	}
	return nil
}

// heading reads 12 0 obj.
func (p *parser) heading() (number, generation int64, ok bool) {
	var t [3]any
	for i := range t {
		var err error
		if t[i], err = p.token(); err != nil {
			return 0, 0, false
		}
	}
	number, ok = t[0].(int64)
	generation, ok2 := t[1].(int64)
	return number, generation, ok && ok2 && t[2] == word("obj")
}
