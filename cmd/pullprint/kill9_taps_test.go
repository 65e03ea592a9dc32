package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/policy/badge"
)

// tappers is how many people show their badges all the while, at both devices in
// turn.
const tappers = 8

func tapperID(i int) string  { return fmt.Sprintf("%08d-2222-4333-8444-555555555555", i) }
func tapperUPN(i int) string { return fmt.Sprintf("tapper%d@contoso.com", i) }

// enrol enrols everybody's badge.
func (c *chaos) enrol() {
	c.Helper()
	client := apiclient.New("http://"+c.api, chaosToken)
	for i := range tappers {
		if !eventually(20*time.Second, func() bool {
			_, err := client.Enrol(context.Background(), tapperUPN(i), badge.Enrolment{Owner: tapperID(i)})
			return err == nil
		}) {
			c.Fatal("no badge can be enrolled")
		}
	}
}

// tap has everybody show their badge again and again, to whatever process is
// alive, until stop is called. What the tap answers is not looked at: what was
// printed and what the store says is.
func (c *chaos) tap() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range tappers {
		all.Go(func() {
			client := apiclient.New("http://"+c.api, chaosToken)
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				_, _ = client.Tap(ctx, []string{"west", "east"}[(n+i)%2], tapperUPN(i)) // the process may be dead
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); all.Wait() })
}
