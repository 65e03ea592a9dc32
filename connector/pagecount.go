package connector

import (
	"context"

	"pullprint/trigger/graph"
	"pullprint/trigger/pages"
)

// PageCounter counts the pages of documents at Graph, within the bounds that d
// sets. Its errors say why not, and name no document.
func PageCounter(c *graph.Client, d Documents) func(context.Context, graph.JobRef, graph.Document) (int, error) {
	return func(ctx context.Context, job graph.JobRef, doc graph.Document) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, d.Within)
		defer cancel()
		r, err := c.OpenDocument(ctx, job, doc, graph.DocumentOptions{Hosts: d.Hosts, MaxBytes: int64(d.MaxBytes)})
		if err != nil {
			return 0, err
		}
		return pages.Count(ctx, r, r.Size(), doc.ContentType)
	}
}
