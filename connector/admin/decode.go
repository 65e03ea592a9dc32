package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"pullprint/connector/admin/apiclient"
	"pullprint/policy/quota"
)

// nothing checks the body of a route that takes no members: it is empty, or an object without
// members.
func (r *request) nothing() error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return badRequest("the body can't be read")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	return decodeStrict(body, &struct{}{})
}

// decode reads a JSON body strictly.
func (r *request) decode(v any) error {
	if ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || ct != "application/json" {
		return failure(http.StatusUnsupportedMediaType, "not-json", "The body is not JSON",
			"Send it with Content-Type: application/json.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return badRequest("the body can't be read")
	}
	return decodeStrict(body, v)
}

// note reads the body of a change that takes nothing but a note.
func (r *request) note() (string, error) {
	var in apiclient.NoteBody
	if err := r.decode(&in); err != nil {
		return "", err
	}
	return in.Note, checkLine("note", in.Note)
}

// decodeStrict reads one JSON object without unknown members. An error quotes no
// value: it may be a card number.
func decodeStrict(body []byte, v any) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return badRequest("the body is empty; send a JSON object, if only {}")
	case !utf8.Valid(body):
		return badRequest("the body is not UTF-8")
	case body[0] != '{': // null and lists are JSON, and would leave v as it is
		return badRequest("the body is not the JSON object that is expected here")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequest("%s", decodeError(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("there is more than one JSON object in the body")
	}
	return nil
}

// decodeError is an error of the JSON decoder in words for whoever wrote the JSON.
func decodeError(err error) string {
	var typ *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var at *time.ParseError
	switch {
	case errors.As(err, &typ):
		return typ.Field + " must be " + kindOf(typ.Type)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return apiclient.UnknownMember + strings.TrimPrefix(err.Error(), "json: unknown field ")
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF):
		return "the body is not the JSON object that is expected here"
	case errors.As(err, &at), strings.HasPrefix(err.Error(), "Time.UnmarshalJSON: "):
		return "a time is not written as 2026-12-24T12:00:00Z"
	case errors.Is(err, quota.ErrAmount), errors.Is(err, quota.ErrOverflow):
		return err.Error()
	}
	return "the body is not the JSON object that is expected here"
}

// kindOf is the kind of JSON value for a type, in words.
func kindOf(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // what else there is are numbers
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a number that fits"
}
