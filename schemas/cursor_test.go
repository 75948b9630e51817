package schemas

import (
	"math/rand/v2"
	"testing"
)

// TestPlainFindsWhatLoopsFind compares with the definition, byte by byte, on texts of the bytes that matter and
// their neighbours.
func TestPlainFindsWhatLoopsFind(t *testing.T) {
	const alphabet = "aaaaaaaaaaaaaaaaaaaaaaaa !#[]~\"\\\x7f\x80\xa2\xdc\xff\x00\x01"
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		text := make([]byte, rng.IntN(40))
		for i := range text {
			text[i] = alphabet[rng.IntN(len(alphabet))]
		}
		whole, want := len(text)/8*8, 0
		for want < whole && text[want] != '"' && text[want] != '\\' && text[want] < 0x7f {
			want++
		}
		if got := plain(string(text)); got != want {
			t.Fatalf("%q: %d, want %d", text, got, want)
		}
	}
}
