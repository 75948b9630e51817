package rank

import (
	"math"
	"time"
)

// halfLives is a time since 1970 in half-lives, whole ones and 2 to the power of the fraction, 1 to 2.
type halfLives struct {
	halvings int64
	power    float64
}

// Of an IEEE 754 double: adding to the exponent multiplies by a power of 2, as long as it does not underflow.
const (
	exponentBias = 1023
	mantissaBits = 52
	mostHalvings = 1000 // an item that is older is not fresh at all
)

// since1970 measures a time in Unix microseconds. What is unknown is very long ago.
func since1970(t int64, halfLife time.Duration) halfLives {
	if t == unknown {
		return halfLives{halvings: math.MinInt64 / 2, power: 1}
	}
	unit := max(halfLife.Microseconds(), 1)
	whole, rest := t/unit, t%unit
	if rest < 0 {
		whole, rest = whole-1, rest+unit
	}
	return halfLives{whole, math.Exp2(float64(rest) / float64(unit))}
}
