package trigger

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"pullprint/trigger/graph"
)

// define finds or creates our task definition, once a Run and after each refusal of a
// subscription to it.
//
// If the process dies after Graph created one and before State has it, the next round finds
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
			k.log.Warn("task definition is gone", zap.String("definition", k.def.ID))
		}
		if found, err = k.o.Graph.CreateDefinition(ctx, k.o.Definition); err != nil {
			return fmt.Errorf("create task definition: %w", err)
		}
		k.log.Info("created task definition", zap.String("definition", found.ID))
	}
	want := definition{ID: found.ID, Name: k.o.Definition, App: k.o.AppID}
	if k.def != want {
		if err := k.put(ctx, keyDefinition, "task definition", want, &k.defRev); err != nil {
			return err
		}
		k.def = want
	}
	k.checked = true
	return nil
}

// pick returns ours of all definitions: the one in State, else one with our name. One of
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
