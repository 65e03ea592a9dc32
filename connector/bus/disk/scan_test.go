package disk

import (
	"math/rand/v2"
	"testing"
	"time"

	"pullprint/trigger/racetest"
)

// A block of garbage is read through in moments.
func TestScanGarbage(t *testing.T) {
	racetest.Skip(t, "one goroutine")
	dice := rand.New(rand.NewPCG(1, 2))
	block := make([]byte, 4<<20)
	for i := range block {
		block[i] = byte(dice.Uint32())
	}
	began := time.Now()
	bad, more := records(block, hashOf("KV_pullprint_jobs", "1.blk"), func([]byte, uint64) { t.Error("a record") })
	if took := time.Since(began); bad != 0 || more || took > 10*time.Second {
		t.Error(bad, more, took)
	}
}
