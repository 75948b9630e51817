package history

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// sum is one of weights that fade, as of the latest of them.
type sum struct {
	asOf   time.Time
	weight float64
}

// fade is what is left of a weight after some time, of which half fades in each half-life: 2^(-age/halfLife).
func fade(age, halfLife time.Duration) float64 { return math.Exp2(-float64(age) / float64(halfLife)) }

// add adds a weight of any time. A weight of 0 counts as of its time only.
func (s *sum) add(weight float64, at time.Time, halfLife time.Duration) {
	if at.After(s.asOf) {
		s.weight *= fade(at.Sub(s.asOf), halfLife)
		s.asOf = at
	}
	s.weight += weight * fade(s.asOf.Sub(at), halfLife)
}

// equals allows for what is lost when numbers are added in another order.
func (s *sum) equals(weight float64) bool { return math.Abs(weight-s.weight) <= 1e-9*(1+s.weight) }

// String returns the sum for people.
func (s *sum) String() string { return fmt.Sprintf("%.9f as of %v", s.weight, s.asOf) }

// checkRecounts sees that profiles and popularity are what the feedback comes to that was to be stored, each once.
func (c *checker) checkRecounts() {
	if c.Run.HalfLife <= 0 {
		return
	}
	users, items := map[string]*sum{}, map[string]*sum{}
	for i := range c.Published {
		p := &c.Published[i]
		var f feedback
		if p.Kind != Feedback || c.events[p.Place] != p || c.inGap(p.Place) && !c.stored(p) || json.Unmarshal(p.Value, &f) != nil {
			continue
		}
		if f.At.IsZero() {
			f.At = p.Time
		}
		at := f.At.Truncate(time.Microsecond)
		if f.UserID != "" {
			sumOf(users, f.UserID).add(f.activity(), at, c.Run.HalfLife)
		}
		if weight := f.preference(); weight > 0 {
			sumOf(items, f.ItemID).add(weight, at, c.Run.HalfLife)
		}
	}
	c.checkProfiles(users)
	c.checkPopularity(items)
}

func sumOf(all map[string]*sum, name string) *sum {
	s := all[name]
	if s == nil {
		s = new(sum)
		all[name] = s
	}
	return s
}

func (c *checker) checkProfiles(want map[string]*sum) {
	for i := range c.Profiles {
		p := &c.Profiles[i]
		s := want[p.UserID]
		delete(want, p.UserID)
		switch {
		case s == nil:
			c.report(ProfileWrong, id(p.UserID), "there is no feedback of this user, or two profiles")
		case !s.equals(p.Activity) || !s.asOf.Equal(p.AsOf):
			c.report(ProfileWrong, id(p.UserID), "activity is %.9f as of %v, feedback comes to %v", p.Activity, p.AsOf, s)
		}
	}
	for _, user := range sortedKeys(want) {
		c.report(ProfileWrong, id(user), "there is none, feedback comes to %v", want[user])
	}
}

// checkPopularity adds up what an item has in all contexts: in which one a feedback counts depends on when it is
// stored, since the request that it names may be decided later.
func (c *checker) checkPopularity(want map[string]*sum) {
	have := map[string]*sum{}
	for i := range c.Popularity {
		p := &c.Popularity[i]
		sumOf(have, p.ItemID).add(p.Weight, p.AsOf, c.Run.HalfLife)
	}
	for _, item := range sortedKeys(have) {
		got, s := have[item], sumOf(want, item)
		if !s.equals(got.weight) || !s.asOf.Equal(got.asOf) {
			c.report(PopularityWrong, id(item), "it is %v, feedback comes to %v", got, s)
		}
	}
}

// activity is what a feedback counts for how active its user is.
func (f *feedback) activity() float64 {
	if f.Action == "impression" {
		return 0
	}
	return 1
}

// preference is how much a feedback says that its item was liked; what is not above 0 makes nothing popular. A rating
// has one to five stars, of which three say nothing.
func (f *feedback) preference() float64 {
	switch f.Action {
	case "click":
		return 1
	case "play":
		return 2
	case "complete":
		return 4
	case "rating":
		if f.Value != nil {
			return min(2*(*f.Value-3), 4)
		}
	}
	return 0
}
