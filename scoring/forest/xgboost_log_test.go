package forest

import (
	"math"
	"testing"
)

// TestLogf wants what glibc 2.36 returns. The first six are not the nearest float32.
func TestLogf(t *testing.T) {
	for bits, want := range map[uint32]uint32{
		0x3f6190ec: 0xbe019a0b, 0x3fa1c7b4: 0x3e6fd424, 0x3f81c950: 0x3c63134c,
		0x421c0f36: 0x406a7e08, 0x3f72fa46: 0xbd55d81e, 0x3f7cff3e: 0xbc415359,
		0x3f800000: 0x00000000, // 1
		0x3f000000: 0xbf317218, // 0.5
		0x00000001: 0xc2ce8ed0, // the smallest denormal
		0x7f7fffff: 0x42b17218, // the largest number
	} {
		x := math.Float32frombits(bits)
		if got := math.Float32bits(logf(x)); got != want {
			t.Errorf("logf(%v) is %#x, want %#x", x, got, want)
		}
	}
}

// TestLogfEverywhere wants it within a unit in the last place of the logarithm.
func TestLogfEverywhere(t *testing.T) {
	for bits := uint32(1); bits < 0x7f800000; bits += 9973 {
		x := math.Float32frombits(bits)
		got, want := logf(x), float32(math.Log(float64(x)))
		if got != want && got != math.Nextafter32(want, 200) && got != math.Nextafter32(want, -200) {
			t.Fatalf("logf(%v) is %v, want %v", x, got, want)
		}
	}
}
