package rank

import "math"

// ceilings bounds the base terms of many candidates from above, with few of them computed: a prediction costs an
// exponential, a calibrated one three, and most candidates are nowhere near the best. The span of the raw
// numbers is cut into cells; as measures never fall where raw numbers rise, the largest of a cell has its bound.
type ceilings struct {
	tops   []float64 // by cell: its largest raw number, then its bound
	lowest float64
	scale  float64 // cells a unit; 0 where there is one cell
}

// How finely raw numbers are cut: as many candidates a cell, and so many cells at most.
const (
	candidatesCell = 8
	maxCells       = 256
)

// slack is for functions that are monotone but for the last bits.
const slack = 1e-12

// write bounds the base term of each raw number.
func (c *ceilings) write(dst, raw []float64, b *blend) {
	c.cut(raw)
	for _, v := range raw {
		top := &c.tops[c.cell(v)]
		*top = max(*top, v)
	}
	for i, top := range c.tops {
		if top > math.Inf(-1) {
			base := b.base(b.prediction(top))
			c.tops[i] = base + slack*math.Abs(base)
		}
	}
	for i, v := range raw {
		dst[i] = c.tops[c.cell(v)]
	}
}

// cut makes empty cells. There is one where the numbers are all alike, or too far apart to tell.
func (c *ceilings) cut(raw []float64) {
	lowest, highest := raw[0], raw[0]
	for _, v := range raw {
		if v < lowest {
			lowest = v
		} else if v > highest {
			highest = v
		}
	}
	n := min(max(len(raw)/candidatesCell, 1), maxCells)
	c.lowest, c.scale = lowest, float64(n)/(highest-lowest)
	if math.IsInf(c.scale, 0) {
		c.scale = 0
	}
	c.tops = c.tops[:0]
	for range n {
		c.tops = append(c.tops, math.Inf(-1))
	}
}

// cell is that of a raw number; rounding may put the largest beyond the last.
func (c *ceilings) cell(raw float64) int {
	if c.scale == 0 {
		return 0
	}
	return min(int((raw-c.lowest)*c.scale), len(c.tops)-1)
}
