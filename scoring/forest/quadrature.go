package forest

import "math"

// quadrature is the rule of Gauss and Legendre on [0, 1]: the integral of a polynomial of a degree below twice the
// number of points is the sum of its values at the points, each times its weight. All weights are positive.
type quadrature struct {
	points, weights []float64
}

// newQuadrature finds the n points, which are the roots of the Legendre polynomial of degree n, by Newton's method
// from Tricomi's approximation.
func newQuadrature(n int) quadrature {
	q := quadrature{make([]float64, n), make([]float64, n)}
	for i := range n {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		value, slope := legendre(n, x)
		for range 10 { // four do; the last ones move nothing
			x -= value / slope
			value, slope = legendre(n, x)
		}
		// On [-1, 1] a weight is 2/((1-x²)·slope²). The interval [0, 1] is half as long.
		q.points[i] = (1 - x) / 2
		q.weights[i] = 1 / ((1 - x*x) * slope * slope)
	}
	return q
}

// legendre is the Legendre polynomial of degree n and its derivative, at x between -1 and 1, by Bonnet's recursion.
func legendre(n int, x float64) (value, slope float64) {
	before, value := 0.0, 1.0
	for k := range n {
		k := float64(k)
		before, value = value, ((2*k+1)*x*value-k*before)/(k+1)
	}
	return value, float64(n) * (x*value - before) / (x*x - 1)
}
