package notice

import (
	"context"
	"fmt"
	"slices"

	"pullprint/connector/store"
)

// Choices are the kinds of notices that people don't want. They stay until they are changed or the
// person is erased.
type Choices struct{ state store.KV }

// NewChoices keeps choices in the state bucket.
func NewChoices(state store.KV) *Choices { return &Choices{state} }

// ChoicePrefix is that of the keys of choices in the state bucket, each with the Entra object id of a
// person behind it.
const ChoicePrefix = "notices.choice."

// choice is what is stored of a person.
type choice struct {
	Owner string   `json:"owner"`
	Off   []string `json:"off"`
}

// Off are the kinds that a person does not want. What can't be read is no choice.
func (c *Choices) Off(ctx context.Context, person string) ([]string, error) {
	is, _, err := store.Read[choice](ctx, c.state, ChoicePrefix+person)
	if err != nil {
		return nil, fmt.Errorf("read which notices a person wants: %w", err)
	}
	return slices.DeleteFunc(is.Off, Mandatory), nil
}

// SetOff stores the kinds that a person does not want; those that are none, or that everybody gets, are
// left out.
func (c *Choices) SetOff(ctx context.Context, person string, off []string) error {
	next := choice{Owner: person, Off: []string{}}
	for _, kind := range Kinds {
		if slices.Contains(off, kind) && !Mandatory(kind) {
			next.Off = append(next.Off, kind)
		}
	}
	err := store.Change(ctx, c.state, ChoicePrefix+person, 0, func(now *choice) bool {
		if slices.Equal(slices.DeleteFunc(now.Off, Mandatory), next.Off) {
			return false
		}
		*now = next
		return true
	})
	if err != nil {
		return fmt.Errorf("store which notices a person wants: %w", err)
	}
	return nil
}
