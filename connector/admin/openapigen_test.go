package admin

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/policy/quota"
)

var update = flag.Bool("update", false, "write openapi.json")

// TestOpenAPIGenerated holds openapi.json against the routes, the types of their bodies and
// answers, and the texts in openapitext_test.go. With -update it writes the file.
func TestOpenAPIGenerated(t *testing.T) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(document()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(out.Bytes(), openAPI) {
		t.Error("openapi.json is not what routes, types and texts say: " +
			"run go test ./connector/admin -run OpenAPIGenerated -update")
	}
	for _, r := range routes() {
		if operations[r.method+" "+r.path].summary == "" {
			t.Errorf("openapitext_test.go says nothing of %s %s", r.method, r.path)
		}
	}
	if len(operations) != len(routes()) {
		t.Errorf("openapitext_test.go has %d routes, the API %d", len(operations), len(routes()))
	}
	for _, unused := range unusedTexts() {
		t.Errorf("openapitext_test.go has a text for %s, which no type has", unused)
	}
}

// object is a JSON object; its members are written in the order of their names.
type object map[string]any

// openAPIDocument is the file; people read the paths before the components.
type openAPIDocument struct {
	OpenAPI    string            `json:"openapi"`
	Info       object            `json:"info"`
	Security   []object          `json:"security"`
	Paths      map[string]object `json:"paths"`
	Components object            `json:"components"`
}

func document() openAPIDocument {
	g := generator{components: object{}}
	paths := map[string]object{}
	for _, r := range routes() {
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path][strings.ToLower(r.method)] = g.operation(r)
	}
	g.schema(reflect.TypeFor[apiclient.Problem](), "")
	return openAPIDocument{
		OpenAPI: "3.1.0",
		Info: object{
			"title": "pullprint", "version": "1",
			"description": "The HTTP API of the pullprint daemon. Every problem is an application/problem+json.",
		},
		Security: []object{{"bearer": []any{}}},
		Paths:    paths,
		Components: object{
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}},
			"schemas":         g.components,
		},
	}
}

// generator collects the components that the schemas refer to.
type generator struct{ components object }

func content(kind string, schema any) object { return object{kind: object{"schema": schema}} }

// operation is one method of one path.
func (g *generator) operation(r route) object {
	text := operations[r.method+" "+r.path]
	done := content("application/json", object{"type": "object"})
	switch {
	case text.answer != nil:
		done = content("application/json", g.schema(reflect.TypeOf(text.answer), ""))
	case r.method != "GET":
		done = content("application/octet-stream", object{"type": "string", "format": "binary"})
	}
	problem := object{"$ref": "#/components/schemas/Problem"}
	op := object{
		"summary": text.summary, "x-pullprint-role": string(r.audience),
		"responses": object{
			"200": object{"description": strings.TrimSpace("Done. " + text.done), "content": done},
			"default": object{
				"description": "Not done; says why and what to do.", "content": content("application/problem+json", problem),
			},
		},
	}
	if r.audience == forAll {
		op["security"] = []any{}
	}
	if list := append(pathParameters(r.path), text.query...); len(list) > 0 {
		op["parameters"] = list
	}
	switch {
	case text.csv:
		op["requestBody"] = object{"required": true, "content": content("text/csv", object{"type": "string"})}
	case text.body != nil:
		op["requestBody"] = object{"required": true, "content": content("application/json", g.body(text))}
	}
	return op
}

// body is the schema of a body. Which members it needs is what the route says: a body has
// members that may be left out and have no omitempty.
func (g *generator) body(text operation) object {
	t := reflect.TypeOf(text.body)
	if componentNames[t] != "" {
		return g.schema(t, "")
	}
	s := g.structure(t, t.Name())
	delete(s, "required")
	if text.required != nil {
		s["required"] = text.required
	}
	return s
}

func pathParameters(path string) (list []object) {
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			list = append(list, object{
				"name": name, "in": "path", "required": true, "description": pathTexts[name], "schema": object{"type": "string"},
			})
		}
	}
	return list
}

// schema is that of a type. at is where a type without a component is found.
func (g *generator) schema(t reflect.Type, at string) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[quota.Amount]():
		return object{"type": "number", "description": amountText}
	case reflect.TypeFor[json.RawMessage]():
		return object{"type": "object", "description": storedText}
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return object{"type": "string"}
	}
	switch t.Kind() { //nolint:exhaustive // no other is in a type of the API
	case reflect.Pointer:
		return g.schema(t.Elem(), at)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Slice:
		return object{"type": "array", "items": g.item(t.Elem(), at+"[]")}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem(), at)}
	case reflect.Struct:
		name := componentNames[t]
		if name == "" {
			return g.structure(t, at)
		}
		if g.components[name] == nil {
			g.components[name] = object{} // for a type within itself
			g.components[name] = g.structure(t, name)
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	return object{"type": "integer"}
}

// item is the schema of the elements of a list.
func (g *generator) item(t reflect.Type, at string) object {
	s := g.schema(t, at)
	if text := textOf(at, ""); text != "" && s["$ref"] == nil {
		s["description"] = text
	}
	return s
}

// structure is the schema of a struct with all its members.
func (g *generator) structure(t reflect.Type, name string) object {
	members, required := object{}, []string{}
	g.members(t, name, members, &required)
	s := object{"type": "object", "properties": members, "additionalProperties": false}
	if required = append(required, alwaysThere[name]...); len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	if text := textOf(name, ""); text != "" {
		s["description"] = text
	}
	return s
}

func (g *generator) members(t reflect.Type, name string, members object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		member, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && member == "":
			g.members(f.Type, name, members, required)
			continue
		case !f.IsExported() || member == "-":
			continue
		}
		at := name + "." + member
		s := g.schema(f.Type, at)
		if text := textOf(at, member); text != "" && (s["$ref"] == nil || texts[at] != "") {
			s["description"] = text
		}
		for keyword, value := range memberRules[at] {
			s[keyword] = value
		}
		optional := strings.Contains(options, "omit")
		if kind := f.Type.Kind(); !optional && (kind == reflect.Pointer || kind == reflect.Map) {
			s["type"] = []any{s["type"], "null"}
		}
		if members[member] = s; !optional {
			*required = append(*required, member)
		}
	}
}

// usedTexts are the keys of texts that were looked up.
var usedTexts = map[string]bool{}

// textOf is the description of a member: that of its place, or else that of its name.
func textOf(at, member string) string {
	usedTexts[at], usedTexts[member] = true, true
	if text, ok := texts[at]; ok {
		return text
	}
	return texts[member]
}

func unusedTexts() (list []string) {
	for key := range texts {
		if !usedTexts[key] {
			list = append(list, key)
		}
	}
	return list
}
