package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// value reads a node into v.
func (d *Document) value(path string, n ast.Node, v reflect.Value) {
	d.nodes[path] = n
	if n.Type() == ast.NullType {
		return // as if it weren't there
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text, ok := d.scalar(path, n, "text"); ok {
			err := u.UnmarshalText([]byte(text))
			switch {
			case err != nil && v.Type() == timeType:
				d.problem(first(n), path, "expected a time", "write it as 2026-01-05T12:00:00Z or 2026-01-05T13:00:00+01:00")
			case err != nil:
				d.caused(err, first(n), path, err.Error())
			}
		}
		return
	}
	switch {
	case v.Type() == durationType:
		d.duration(path, n, v)
	case v.Kind() == reflect.Struct:
		d.mapping(path, n, v)
	case v.Kind() == reflect.Slice:
		d.sequence(path, n, v)
	case v.Kind() == reflect.Map:
		d.texts(path, n, v)
	default:
		d.basic(path, n, v)
	}
}

// mapping reads the keys of a mapping into the fields of a struct.
func (d *Document) mapping(path string, n ast.Node, v reflect.Value) {
	values, ok := pairs(n)
	if !ok {
		d.mismatch(n, path, Mapping, fmt.Sprintf("expected a mapping with the keys %s, found %s",
			strings.Join(Keys(v.Type()), ", "), kind(n)))
	}
	for _, mv := range values {
		key := mv.Key.GetToken()
		field, ok := fieldByKey(v, key.Value)
		if !ok {
			d.unknown(key, path, Keys(v.Type()))
		} else if at, ok := d.enter(path, key); ok {
			d.value(at, mv.Value, field)
		}
	}
}

// texts reads a map of texts by name. A text alone is one under no name.
func (d *Document) texts(path string, n ast.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	values, ok := pairs(n)
	if !ok {
		d.text(path, "", n, v)
	}
	for _, mv := range values {
		key := mv.Key.GetToken()
		if at, ok := d.enter(path, key); ok {
			d.nodes[at] = mv.Value
			d.text(at, key.Value, mv.Value, v)
		}
	}
}

// text reads a text into a map, under its name.
func (d *Document) text(path, name string, n ast.Node, into reflect.Value) {
	if text, ok := d.scalar(path, n, "text"); ok {
		into.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(text))
	}
}

// pairs are the keys of a mapping with their values; ok is false when a node is none.
func pairs(n ast.Node) (list []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// enter notes a key of the mapping at path, and returns the path of its value; ok is false for a
// key that is there already.
func (d *Document) enter(path string, key *token.Token) (at string, ok bool) {
	at = join(path, key.Value)
	if _, twice := d.nodes[at]; twice {
		d.problem(key, at, fmt.Sprintf("the key %q is here twice", key.Value), fmt.Sprintf("the first is in line %d",
			d.At(at)))
		return at, false
	}
	d.keys[at] = key
	return at, true
}

func (d *Document) sequence(path string, n ast.Node, v reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.mismatch(n, path, List, fmt.Sprintf("expected a list, found %s", kind(n)))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, v.Index(i))
	}
}

func (d *Document) basic(path string, n ast.Node, v reflect.Value) {
	text, ok := d.scalar(path, n, v.Kind().String())
	if !ok {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(text == "true")
		if text != "true" && text != "false" {
			d.mismatch(n, path, Bool, "expected true or false")
		}
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, v.Type().Bits())
		if err != nil {
			d.mismatch(n, path, Number, "expected a whole number")
		}
		v.SetInt(i)
	default:
		d.problem(first(n), path, "this program can't read a "+v.Kind().String()+" here", "")
	}
}

func (d *Document) duration(path string, n ast.Node, v reflect.Value) {
	if text, ok := d.scalar(path, n, "duration"); ok {
		dur, err := ParseDuration(text)
		if err != nil {
			d.problem(first(n), path, "expected a duration", "write it as 90s, 30m, 24h or 7d")
		}
		v.SetInt(int64(dur))
	}
}

// ParseDuration reads what time.ParseDuration reads, and days: 7d, 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseInt(days, 10, 32)
	if err != nil || n < 0 || n > 36500 {
		return 0, fmt.Errorf("bad number of days")
	}
	var more time.Duration
	if rest != "" {
		if more, err = time.ParseDuration(rest); err != nil {
			return 0, err
		}
	}
	return time.Duration(n)*24*time.Hour + more, nil
}

// scalar is the text of a scalar, expanded.
func (d *Document) scalar(path string, n ast.Node, want string) (string, bool) {
	var text string
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text = n.GetToken().Value
	default:
		d.mismatch(n, path, Scalar, fmt.Sprintf("expected a %s, found %s", want, kind(n)))
		return "", false
	}
	if d.expand != nil {
		expanded, err := d.expand(text)
		if err != nil {
			d.caused(err, first(n), path, err.Error())
			return "", false
		}
		text = expanded
	}
	return text, true
}

// unknown notes a key that the mapping at path has not.
func (d *Document) unknown(t *token.Token, path string, known []string) {
	name := t.Value
	at := join(path, name)
	p := d.at(t, at, fmt.Sprintf("unknown key %q", name), DidYouMean(name, known))
	cause := &UnknownKeyError{Key: at}
	if near := Nearest(name, known); near != "" {
		cause.Nearest = join(path, near)
	}
	p.Cause = cause
	d.problems = append(d.problems, p)
}

func kind(n ast.Node) Kind {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return Mapping
	case *ast.SequenceNode:
		return List
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return Alias
	case *ast.TagNode:
		return Tag
	}
	return Scalar
}

// Keys are the yaml keys of a struct type, in the order of its fields.
func Keys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if k := keyOf(t.Field(i)); k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

func keyOf(f reflect.StructField) string {
	tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if tag == "-" {
		return ""
	}
	return tag
}

func fieldByKey(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if k := keyOf(v.Type().Field(i)); k != "" && k == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
