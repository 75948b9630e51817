// Package profiles keeps users' profiles in memory for a while, in front of where they are stored.
//
// It promises that a batch of users costs one query at the most, that no profile is older than its time to
// live when it is handed out, and that memory stays within a bound, however large single profiles are. That a
// user has no profile is kept too. What is handed out is shared: it must not be changed, and never changes.
package profiles

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
	"unsafe"

	"recstream/schemas"
)

// Store has the profiles. Those of users who have none are left out.
type Store interface {
	Profiles(ctx context.Context, userIDs []string, into map[string]*schemas.Profile) error
}

// Cache holds the profiles that were asked for last. It is safe for concurrent use.
type Cache struct {
	store Store
	limit int           // bytes
	ttl   time.Duration // time to live
	now   func() time.Time

	mu    sync.Mutex
	users map[string]*list.Element
	order list.List // of *entry, the one asked for last in front
	bytes int
	stats Stats // but for Bytes
}

// Stats say how a cache fares.
type Stats struct {
	Hits, Misses uint64 // users asked for, by whether they were at hand
	Bytes        int
}

// Stats returns how the cache fares since it was made.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := c.stats
	stats.Bytes = c.bytes
	return stats
}

// entry is what is known of one user.
type entry struct {
	user    string
	profile *schemas.Profile // nil where there is none
	read    time.Time        // when reading it began
	bytes   int
}

// NewCache returns a cache that takes about limit bytes and hands out profiles for ttl after they were read. With
// a ttl of 0 every fetch reads them.
func NewCache(store Store, limit int, ttl time.Duration, now func() time.Time) *Cache {
	return &Cache{store: store, limit: limit, ttl: ttl, now: now, users: map[string]*list.Element{}}
}

// Fetch puts the profiles of those users into a map, by user id. A user who has none is left out, and so is the
// anonymous one. All that are not at hand are read in one query; its error is returned as it is.
func (c *Cache) Fetch(ctx context.Context, users []string, into map[string]*schemas.Profile) error {
	now := c.now()
	missing := c.take(users, into, now)
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	found := make(map[string]*schemas.Profile, len(missing))
	if err := c.store.Profiles(ctx, missing, found); err != nil {
		return err
	}
	for user, p := range found {
		into[user] = p
	}
	c.keep(missing, found, now)
	return nil
}

// take hands out what is at hand and returns the users who are not.
func (c *Cache) take(users []string, into map[string]*schemas.Profile, now time.Time) (missing []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, user := range users {
		if user == "" {
			continue
		}
		element := c.users[user]
		if element == nil || now.Sub(element.Value.(*entry).read) >= c.ttl {
			missing = append(missing, user)
			c.stats.Misses++
			continue
		}
		c.stats.Hits++
		c.order.MoveToFront(element)
		if p := element.Value.(*entry).profile; p != nil {
			into[user] = p
		}
	}
	return missing
}

// keep notes what was read, and lets go of what was not asked for longest until the bound is kept.
func (c *Cache) keep(users []string, found map[string]*schemas.Profile, read time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, user := range users {
		if old := c.users[user]; old != nil {
			if old.Value.(*entry).read.After(read) {
				continue // another was quicker, and read later
			}
			c.drop(old)
		}
		e := &entry{user: user, profile: found[user], read: read}
		e.bytes = e.size()
		c.users[user] = c.order.PushFront(e)
		c.bytes += e.bytes
	}
	for c.bytes > c.limit {
		c.drop(c.order.Back())
	}
}

func (c *Cache) drop(element *list.Element) {
	e := c.order.Remove(element).(*entry)
	delete(c.users, e.user)
	c.bytes -= e.bytes
}

// What an entry takes beside its profile: itself, its place in the list, and in the map with the room that a map
// has to spare; and what the allocator rounds a string up by, at the most.
const (
	entryBytes  = int(unsafe.Sizeof(entry{})+unsafe.Sizeof(list.Element{})) + 2*(16+8)
	stringBytes = 16
)

// size returns about how many bytes an entry takes.
func (e *entry) size() int {
	n := entryBytes + stringBytes + len(e.user)
	if e.profile == nil {
		return n
	}
	p := e.profile
	n += int(unsafe.Sizeof(*p)) + stringBytes + len(p.UserID)
	n += cap(p.Genres)*int(unsafe.Sizeof(schemas.GenreWeight{})) + cap(p.Items)*int(unsafe.Sizeof(schemas.ProfileItem{}))
	for i := range p.Genres {
		n += stringBytes + len(p.Genres[i].Genre)
	}
	for i := range p.Items {
		n += stringBytes + len(p.Items[i].ItemID)
	}
	return n
}
