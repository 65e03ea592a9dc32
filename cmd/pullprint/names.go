package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph"
)

// namesWithin is how long a list waits for user names: some requests, of a second at most each.
const namesWithin = 5 * time.Second

// userNames are what people are called in a list for people, by object ids.
type userNames map[string]string

// of is somebody by an object id; who is not known, and what is no id, stays as it is.
func (n userNames) of(id string) string { return cmp.Or(n[graph.Canonical(id)], orDash(id)) }

// namesOf are the user names of people as far as the daemon tells them: none to a token below the role
// operate, by an older daemon, or while Entra does not answer. A list comes without them, too.
func namesOf(cmd *cobra.Command, c *apiclient.Client, people ...string) userNames {
	var ids []string
	for _, text := range people {
		if id, ok := graph.CanonicalGUID(text); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ctx, cancel := context.WithTimeout(cmd.Context(), namesWithin)
	defer cancel()
	names := userNames{}
	for part := range slices.Chunk(slices.Compact(ids), apiclient.MaxNames) {
		found, err := c.UserNames(ctx, part)
		if err != nil {
			break
		}
		for id, name := range found {
			names[id] = name
		}
	}
	return names
}

// people are the ids that each entry of a list names.
func people[T any](list []T, of func(*T) []string) (ids []string) {
	for i := range list {
		ids = append(ids, of(&list[i])...)
	}
	return ids
}
