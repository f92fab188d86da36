package dns

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

// question is what makes two queries the same.
type question struct {
	name        string // canonical
	kind        uint16
	do, cd, tcp bool
}

func questionOf(q *dns.Msg, tcp bool) question {
	k := question{name: dns.CanonicalName(q.Question[0].Name), kind: q.Question[0].Qtype, cd: q.CheckingDisabled, tcp: tcp}
	if o := q.IsEdns0(); o != nil {
		k.do = o.Do()
	}
	return k
}

// Bounds of the cache. Names that do not exist are believed for a short time only: search lists make many of them,
// and somebody may be about to create one.
const (
	cacheEntries = 4096
	maxTTL       = time.Hour
	maxNegative  = 30 * time.Second
)

// cache keeps replies of others until they expire. When it is full some entry, any, makes room.
type cache struct {
	mu      sync.Mutex
	entries map[question]cached
}

type cached struct {
	msg    *dns.Msg
	stored time.Time
	until  time.Time
}

func newCache() *cache { return &cache{entries: map[question]cached{}} }

func (c *cache) clear() {
	c.mu.Lock()
	clear(c.entries)
	c.mu.Unlock()
}

// get gives a copy whose TTLs count down.
func (c *cache) get(key question, now time.Time) *dns.Msg {
	c.mu.Lock()
	e, ok := c.entries[key]
	if ok && !now.Before(e.until) {
		delete(c.entries, key)
		ok = false
	}
	c.mu.Unlock()
	if !ok {
		return nil
	}
	m := e.msg.Copy()
	age := uint32(now.Sub(e.stored) / time.Second)
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				h.Ttl -= min(age, h.Ttl)
			}
		}
	}
	return m
}

func (c *cache) put(key question, m *dns.Msg, now time.Time) {
	life := lifetime(m)
	if life <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= cacheEntries {
		for k := range c.entries {
			delete(c.entries, k)
			break
		}
	}
	c.entries[key] = cached{m, now, now.Add(life)}
}

// lifetime is how long a reply may be believed: the least TTL in it, or what the SOA of a negative
// one says (RFC 2308). 0: not at all.
func lifetime(m *dns.Msg) time.Duration {
	if m.Truncated || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0
	}
	if len(m.Answer) == 0 || m.Rcode == dns.RcodeNameError {
		for _, rr := range m.Ns {
			if soa, ok := rr.(*dns.SOA); ok {
				return min(time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second, maxNegative)
			}
		}
		return 0
	}
	life := maxTTL
	for _, rr := range m.Answer {
		life = min(life, time.Duration(rr.Header().Ttl)*time.Second)
	}
	return life
}
