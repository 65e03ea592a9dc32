package policy

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"pullprint/policy/quota"
)

// variable is one thing that an expression can see: a field of one of the
// objects job, user, queue, device and account, or a variable of its own with no object.
type variable struct {
	object string
	name   string
	typ    *cel.Type
	get    func(*Request) ref.Val
	// needs is what has to be asked to know it; empty when the request says so.
	needs Dependency
}

// variables is the only list of what an expression can see: type checking,
// evaluation, hints and Variables read it. deploy/docs/policy.md has the same
// table for people, and a test compares the two.
var variables = [...]variable{
	{"job", "queue", cel.StringType, func(r *Request) ref.Val { return types.String(r.Queue.Name) }, ""},
	{"job", "copies", cel.IntType, func(r *Request) ref.Val { return types.Int(r.Job.Copies) }, ""},
	{"job", "color", cel.BoolType, func(r *Request) ref.Val { return types.Bool(r.Job.Color) }, ""},
	{"job", "duplex", cel.BoolType, func(r *Request) ref.Val { return types.Bool(r.Job.Duplex) }, ""},
	{"job", "pages", cel.IntType, inPaper(func(p Paper) int64 { return p.Sides }), Document},
	{"job", "sheets", cel.IntType, inPaper(func(p Paper) int64 { return p.Sheets }), Document},
	{"job", "mediaSize", cel.StringType, func(r *Request) ref.Val { return types.String(r.Job.MediaSize) }, ""},
	{"job", "size", cel.IntType, func(r *Request) ref.Val { return types.Int(r.Job.Size) }, ""},
	{"job", "contentType", cel.StringType, func(r *Request) ref.Val { return types.String(r.Job.ContentType) }, ""},
	{"job", "created", cel.TimestampType, func(r *Request) ref.Val { return types.Timestamp{Time: r.Job.Created} }, ""},
	{"job", "hour", cel.IntType, func(r *Request) ref.Val {
		return types.Int(r.Job.Created.In(cmp.Or(r.zone, time.UTC)).Hour())
	}, ""},
	{"user", "id", cel.StringType, func(r *Request) ref.Val { return types.String(r.User.ID) }, ""},
	{"user", "upn", cel.StringType, func(r *Request) ref.Val { return types.String(r.User.UPN) }, ""},
	{"user", "groups", cel.ListType(cel.StringType), func(r *Request) ref.Val {
		return newNames(r.User.Groups)
	}, Directory},
	{"queue", "name", cel.StringType, func(r *Request) ref.Val { return types.String(r.Queue.Name) }, ""},
	{"queue", "mode", cel.StringType, func(r *Request) ref.Val { return types.String(r.Queue.Mode) }, ""},
	{"device", "id", cel.StringType, func(r *Request) ref.Val { return types.String(r.Device) }, ""},
	{"account", "limit", cel.IntType, units(func(b *quota.Balance) quota.Amount {
		return b.Limit + b.Carried + b.Adjusted
	}), Ledger},
	{"account", "spent", cel.IntType, units(func(b *quota.Balance) quota.Amount { return b.Spent }), Ledger},
	{"account", "reserved", cel.IntType, units(func(b *quota.Balance) quota.Amount { return b.Reserved }), Ledger},
	{"account", "left", cel.IntType, units(func(b *quota.Balance) quota.Amount { return b.Left }), Ledger},
	{"", "now", cel.TimestampType, func(r *Request) ref.Val { return types.Timestamp{Time: r.Now} }, ""},
}

// accountVariables are those that tell what is on an account.
var accountVariables = func() (set variableSet) {
	for i, v := range variables {
		if v.object == "account" {
			set |= 1 << i
		}
	}
	return set
}()

// variableSet is a set of variables, by their place in the list.
type variableSet uint64

// needs reports whether some variable of the set needs a dependency.
func (set variableSet) needs(d Dependency) bool {
	for i, v := range variables {
		if set&(1<<i) != 0 && v.needs == d {
			return true
		}
	}
	return false
}

// inPaper is a number of sides or sheets.
func inPaper(what func(Paper) int64) func(*Request) ref.Val {
	return func(r *Request) ref.Val {
		p, err := r.Job.Paper()
		if err != nil {
			return types.NewErr("integer overflow")
		}
		return types.Int(what(p))
	}
}

// noLimit is what is left on the account of somebody who has none.
const noLimit = math.MaxInt64 / quota.Unit * quota.Unit

// unlimited is the balance of somebody who has no account that pays.
var unlimited = quota.Balance{Limit: noLimit, Left: noLimit}

// units is an amount of the tightest account of those who pay, in whole units:
// never more than there is.
func units(what func(*quota.Balance) quota.Amount) func(*Request) ref.Val {
	return func(r *Request) ref.Val {
		a := what(cmp.Or(r.Budget.tightest(), &unlimited))
		whole := a / quota.Unit
		if a%quota.Unit < 0 {
			whole--
		}
		return types.Int(whole)
	}
}

// objects are the names of the objects, in the order of the list.
var objects = func() (names []string) {
	for _, v := range variables {
		if v.object != "" && (len(names) == 0 || names[len(names)-1] != v.object) {
			names = append(names, v.object)
		}
	}
	return names
}()

// fieldsOf are the names of the fields of an object.
func fieldsOf(object string) (names []string) {
	for _, v := range variables {
		if v.object == object && object != "" {
			names = append(names, v.name)
		}
	}
	return names
}

// indexOf is the place of a variable in the list, or -1.
func indexOf(object, name string) int {
	for i, v := range variables {
		if v.object == object && v.name == name {
			return i
		}
	}
	return -1
}

// Vocabulary is what an expression can name: all that it can see, by path as job.color or
// now, and the functions and macros that are no operators.
func Vocabulary() (variablePaths, functionNames []string) {
	for _, v := range variables {
		variablePaths = append(variablePaths, strings.TrimPrefix(v.object+"."+v.name, "."))
	}
	return variablePaths, functions()
}

// input is a request as expressions see it. A value is made when an expression
// first asks for it and kept for the next one. It is not safe for concurrent use: each
// decision has its own.
type input struct {
	req    Request
	values [len(variables)]ref.Val
	// missing is what the newest evaluation needed and was out of reach.
	missing Dependency
	object  [5]object
}

func newInput(req Request) *input {
	in := &input{req: req}
	for i := range in.object {
		in.object[i] = object{in, i}
	}
	return in
}

func (in *input) value(i int) ref.Val {
	if v := &variables[i]; v.needs != "" && in.req.lacks(v.needs) {
		in.missing = v.needs
		return types.WrapErr(errMissing)
	}
	if in.values[i] == nil {
		in.values[i] = variables[i].get(&in.req)
	}
	return in.values[i]
}

// ResolveName implements cel.Activation.
func (in *input) ResolveName(name string) (any, bool) {
	for i, o := range objects {
		if o == name {
			return &in.object[i], true
		}
	}
	if i := indexOf("", name); i >= 0 {
		return in.value(i), true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (*input) Parent() cel.Activation { return nil }

// object is job, user, queue, device or account of one request as a CEL value.
type object struct {
	in   *input
	kind int // index in objects
}

var objectTypes = func() (ts []*cel.Type) {
	for _, name := range objects {
		ts = append(ts, types.NewObjectType(name))
	}
	return ts
}()

// Type implements ref.Val.
func (o *object) Type() ref.Type { return objectTypes[o.kind] }

// Value implements ref.Val. The fields are read from the object itself.
func (o *object) Value() any { return o }

// Equal implements ref.Val.
func (o *object) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object)
	return types.Bool(ok && p.kind == o.kind && p.in == o.in)
}

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("type conversion error: %s is no plain value", objects[o.kind])
}

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.TypeType:
		return objectTypes[o.kind]
	case objectTypes[o.kind]:
		return o
	}
	return types.NewErr("type conversion error: %s is no plain value", objects[o.kind])
}

// provider tells CEL of the objects and their fields.
type provider struct{ types.Provider }

// FindStructType implements types.Provider.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	for i, o := range objects {
		if o == name {
			return types.NewTypeTypeWithParam(objectTypes[i]), true
		}
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if fields := fieldsOf(name); fields != nil {
		return fields, true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if fieldsOf(name) == nil {
		return p.Provider.FindStructFieldType(name, field)
	}
	i := indexOf(name, field)
	if i < 0 {
		return nil, false
	}
	return &types.FieldType{
		Type:  variables[i].typ,
		IsSet: func(any) bool { return true },
		GetFrom: func(target any) (any, error) {
			o, ok := target.(*object)
			if !ok {
				return nil, errEval
			}
			return o.in.value(i), nil
		},
	}, true
}

// names is a list of strings that can tell without allocating whether it has one.
type names struct {
	traits.Lister
	list []string
}

func newNames(list []string) ref.Val {
	return names{types.NewStringList(types.DefaultTypeAdapter, list), list}
}

// Contains implements traits.Container.
func (n names) Contains(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.False
	}
	return types.Bool(slices.Contains(n.list, string(s)))
}
