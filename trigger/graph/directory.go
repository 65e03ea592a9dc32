package graph

import "context"

// Groups lists the groups that a user is a member of, directly or through other
// groups (https://learn.microsoft.com/graph/api/user-list-transitivememberof).
// user is an Entra object id. The OData cast needs ConsistencyLevel eventual and
// $count there: a change of membership can take a while to show.
func (c *Client) Groups(ctx context.Context, user string) ([]Group, error) {
	if err := ids(listGroups, user); err != nil {
		return nil, err
	}
	const query = "$select=id,displayName&$count=true&$top=999"
	return collect[Group](ctx, c, call{op: listGroups, url: c.at("/users/"+user+"/transitiveMemberOf/microsoft.graph.group", query), eventual: true})
}
