package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"pullprint/trigger/graph"
)

// define finds or makes our task definition, once a Run and whenever Graph
// refused a subscription on it.
//
// Crash story: after Graph made one and before State has it, the next round finds
// it by name and app id.
func (k *keeper) define(ctx context.Context) error {
	if k.checked {
		return nil
	}
	all, err := k.o.Graph.Definitions(ctx)
	if err != nil {
		return fmt.Errorf("list task definitions: %w", err)
	}
	found, ok := k.pick(all)
	if !ok {
		if k.def.ID != "" {
			k.log.Warn("graph doesn't know our task definition any more", zap.String("definition", k.def.ID))
		}
		if found, err = k.o.Graph.CreateDefinition(ctx, k.o.Definition); err != nil {
			return fmt.Errorf("create task definition: %w", err)
		}
		k.log.Info("created task definition", zap.String("definition", found.ID))
	}
	want := definition{ID: found.ID, Name: k.o.Definition, App: k.o.AppID}
	if k.def != want {
		if err := k.rememberDefinition(ctx, want); err != nil {
			return err
		}
	}
	k.checked = true
	return nil
}

// pick chooses ours of all definitions: the remembered one, else by name. One of
// another app is never ours, whatever its name.
func (k *keeper) pick(all []graph.Definition) (graph.Definition, bool) {
	mine := func(d graph.Definition) bool { return strings.EqualFold(d.AppID, k.o.AppID) }
	if k.def.Name == k.o.Definition && strings.EqualFold(k.def.App, k.o.AppID) {
		for _, d := range all {
			if strings.EqualFold(d.ID, k.def.ID) && (mine(d) || d.AppID == "") {
				return d, true
			}
		}
	}
	return graph.FindDefinition(all, k.o.Definition, k.o.AppID)
}

func (k *keeper) rememberDefinition(ctx context.Context, d definition) error {
	value, err := json.Marshal(d)
	if err != nil {
		return err
	}
	rev, ok, err := k.o.State.CompareAndSet(ctx, keyDefinition, value, k.defRev, 0)
	switch {
	case err != nil:
		return fmt.Errorf("store task definition: %w", err)
	case !ok:
		return errLookAgain
	}
	k.def, k.defRev = d, rev
	k.o.Verifier.apply(keyDefinition, value, rev)
	return nil
}
