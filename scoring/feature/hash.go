package feature

import "math/bits"

// murmur3 is MurmurHash3_x86_32 of the text with seed 0, after Austin Appleby's definition (public domain):
// https://github.com/aappleby/smhasher/wiki/MurmurHash3
func murmur3(text string) uint32 {
	var h uint32
	blocks := len(text) &^ 3
	for i := 0; i < blocks; i += 4 {
		k := uint32(text[i]) | uint32(text[i+1])<<8 | uint32(text[i+2])<<16 | uint32(text[i+3])<<24
		h = bits.RotateLeft32(h^scramble(k), 13)*5 + 0xe6546b64
	}
	var k uint32
	for i := len(text) - 1; i >= blocks; i-- {
		k = k<<8 | uint32(text[i])
	}
	h ^= scramble(k)
	h ^= uint32(len(text))
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

func scramble(k uint32) uint32 { return bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593 }
