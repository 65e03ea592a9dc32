package bus

import (
	"encoding/binary"
	"math/bits"
)

// highwayHash is HighwayHash-64, with which the server protects each record in its files
// (https://arxiv.org/abs/1612.06257; the names are those of the reference). It is here
// for the check of a store alone, as 80 lines are less than one more dependency.
type highwayHash struct{ v0, v1, mul0, mul1 [4]uint64 }

func newHighwayHash(key [32]byte) highwayHash {
	h := highwayHash{
		mul0: [4]uint64{0xdbe6d5d5fe4cce2f, 0xa4093822299f31d0, 0x13198a2e03707344, 0x243f6a8885a308d3},
		mul1: [4]uint64{0x3bd39e10cb0ef593, 0xc0acf169b5f18a8c, 0xbe5466cf34e90c6c, 0x452821e638d01377},
	}
	for i := range 4 {
		k := binary.LittleEndian.Uint64(key[8*i:])
		h.v0[i] = h.mul0[i] ^ k
		h.v1[i] = h.mul1[i] ^ bits.RotateLeft64(k, 32)
	}
	return h
}

// sum is the hash of data under the key that h was made with.
func (h highwayHash) sum(data []byte) uint64 {
	for ; len(data) >= 32; data = data[32:] {
		h.update(data)
	}
	if len(data) > 0 {
		h.rest(data)
	}
	for range 4 {
		var perm [32]byte
		for i := range 4 {
			binary.LittleEndian.PutUint64(perm[8*i:], bits.RotateLeft64(h.v0[(i+2)%4], 32))
		}
		h.update(perm[:])
	}
	return h.v0[0] + h.v1[0] + h.mul0[0] + h.mul1[0]
}

// update takes 32 bytes in. It is written out for each lane: the check of a large store
// waits for it.
func (h *highwayHash) update(data []byte) {
	data = data[:32]
	lane(&h.v0[0], &h.v1[0], &h.mul0[0], &h.mul1[0], binary.LittleEndian.Uint64(data))
	lane(&h.v0[1], &h.v1[1], &h.mul0[1], &h.mul1[1], binary.LittleEndian.Uint64(data[8:]))
	lane(&h.v0[2], &h.v1[2], &h.mul0[2], &h.mul1[2], binary.LittleEndian.Uint64(data[16:]))
	lane(&h.v0[3], &h.v1[3], &h.mul0[3], &h.mul1[3], binary.LittleEndian.Uint64(data[24:]))
	zipperMerge(h.v1[1], h.v1[0], &h.v0[1], &h.v0[0])
	zipperMerge(h.v1[3], h.v1[2], &h.v0[3], &h.v0[2])
	zipperMerge(h.v0[1], h.v0[0], &h.v1[1], &h.v1[0])
	zipperMerge(h.v0[3], h.v0[2], &h.v1[3], &h.v1[2])
}

func lane(v0, v1, mul0, mul1 *uint64, data uint64) {
	*v1 += *mul0 + data
	*mul0 ^= (*v1 & 0xffffffff) * (*v0 >> 32)
	*v0 += *mul1
	*mul1 ^= (*v0 & 0xffffffff) * (*v1 >> 32)
}

// rest takes in what is left, of less than 32 bytes.
func (h *highwayHash) rest(data []byte) {
	n := len(data)
	for i := range 4 {
		h.v0[i] += uint64(n)<<32 + uint64(n)                                                          //nolint:gosec // less than 32
		low, high := bits.RotateLeft32(uint32(h.v1[i]), n), bits.RotateLeft32(uint32(h.v1[i]>>32), n) //nolint:gosec // halves
		h.v1[i] = uint64(high)<<32 | uint64(low)
	}
	var block [32]byte
	mod4 := n & 3
	whole := n - mod4
	copy(block[:], data[:whole])
	switch {
	case n >= 16:
		copy(block[28:], data[n-4:])
	case mod4 != 0:
		block[16], block[17], block[18] = data[whole], data[whole+mod4>>1], data[n-1]
	}
	h.update(block[:])
}

func zipperMerge(v1, v0 uint64, add1, add0 *uint64) {
	*add0 += (v0&0xff000000|v1&0xff00000000)>>24 | (v0&0xff0000000000|v1&0xff000000000000)>>16 |
		v0&0xff0000 | v0&0xff00<<32 | v1&0xff00000000000000>>8 | v0<<56
	*add1 += (v1&0xff000000|v0&0xff00000000)>>24 | v1&0xff0000 | v1&0xff0000000000>>16 |
		v1&0xff00<<24 | v0&0xff000000000000>>8 | v1&0xff<<48 | v0&0xff00000000000000
}
