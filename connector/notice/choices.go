package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"pullprint/connector/job"
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

// ErrChosen says that a choice was changed by others all the time.
var ErrChosen = errors.New("the choice is being changed elsewhere; try again")

// Off are the kinds that a person does not want. What can't be read is no choice.
func (c *Choices) Off(ctx context.Context, person string) ([]string, error) {
	off, _, err := c.read(ctx, person)
	return off, err
}

func (c *Choices) read(ctx context.Context, person string) (off []string, revision uint64, err error) {
	value, revision, err := c.state.Get(ctx, ChoicePrefix+person)
	if err != nil {
		return nil, 0, fmt.Errorf("read which notices a person wants: %w", err)
	}
	var is choice
	if revision > 0 && json.Unmarshal(value, &is) == nil {
		off = slices.DeleteFunc(is.Off, Mandatory)
	}
	return off, revision, nil
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
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode which notices a person wants: %w", err)
	}
	for range job.MaxConflicts {
		was, revision, err := c.read(ctx, person)
		if err != nil {
			return err
		}
		if slices.Equal(was, next.Off) {
			return nil
		}
		switch _, ok, err := c.state.CompareAndSet(ctx, ChoicePrefix+person, value, revision, 0); {
		case err != nil:
			return fmt.Errorf("store which notices a person wants: %w", err)
		case ok:
			return nil
		}
	}
	return ErrChosen
}
