package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// decodeStrict reads one JSON object without unknown members. An error quotes no
// value: it may be a card number.
func decodeStrict(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var typ *json.UnmarshalTypeError
	switch {
	case err == nil:
	case errors.As(err, &typ) && typ.Field != "":
		return badRequest("%s must be a %s", typ.Field, typ.Type)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return badRequest("unknown member %s", strings.TrimPrefix(err.Error(), "json: unknown field "))
	default:
		return badRequest("the body is not the JSON object that is expected here")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("there is more than one JSON object in the body")
	}
	return nil
}
