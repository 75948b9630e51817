package forest

import "math"

// logf is the logarithm of a positive float32 as the GNU C library has it since version 2.27, which is what
// XGBoost calls. For one number in 200 that is not the nearest float32; the difference, in the bias of a
// model, would show in every raw score.
//
// The method and its constants are Szabolcs Nagy's (ARM optimized routines, "Single-precision log function"):
// x = 2^k·z, with z near 1; log x = k·log 2 + log c + log(z/c), where 1/c comes from a table of 16 intervals,
// and log(1+r) from a polynomial of degree 3.
func logf(x float32) float32 {
	const base = 0x3f330000 // of the first interval: z is from 0.699 to 1.398
	bits := math.Float32bits(x)
	if bits < 0x00800000 { // a denormal: made a normal number first
		bits = math.Float32bits(x*(1<<23)) - 23<<23
	}
	from := bits - base
	k := int32(from) >> 23
	z := float64(math.Float32frombits(bits - uint32(k)<<23))
	entry := logTable[from>>19%16]
	r := z*entry.inverse - 1
	sum := entry.log + float64(k)*math.Ln2 + r
	poly := -0x1.00ea348b88334p-2*r*r + (0x1.5575b0be00b6ap-2*r - 0x1.ffffef20a4123p-2)
	return float32(poly*(r*r) + sum)
}

// logTable has, of each interval, 1/c and log c, with c near its middle.
var logTable = [16]struct{ inverse, log float64 }{
	{0x1.661ec79f8f3bep+0, -0x1.57bf7808caadep-2},
	{0x1.571ed4aaf883dp+0, -0x1.2bef0a7c06ddbp-2},
	{0x1.49539f0f010bp+0, -0x1.01eae7f513a67p-2},
	{0x1.3c995b0b80385p+0, -0x1.b31d8a68224e9p-3},
	{0x1.30d190c8864a5p+0, -0x1.6574f0ac07758p-3},
	{0x1.25e227b0b8eap+0, -0x1.1aa2bc79c81p-3},
	{0x1.1bb4a4a1a343fp+0, -0x1.a4e76ce8c0e5ep-4},
	{0x1.12358f08ae5bap+0, -0x1.1973c5a611cccp-4},
	{0x1.0953f419900a7p+0, -0x1.252f438e10c1ep-5},
	{0x1p+0, 0x0p+0},
	{0x1.e608cfd9a47acp-1, 0x1.aa5aa5df25984p-5},
	{0x1.ca4b31f026aap-1, 0x1.c5e53aa362eb4p-4},
	{0x1.b2036576afce6p-1, 0x1.526e57720db08p-3},
	{0x1.9c2d163a1aa2dp-1, 0x1.bc2860d22477p-3},
	{0x1.886e6037841edp-1, 0x1.1058bc8a07ee1p-2},
	{0x1.767dcf5534862p-1, 0x1.4043057b6ee09p-2},
}
