package dns

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Patience with other resolvers. The next one is asked, too, when one says nothing for a while: the first answer counts.
const (
	forwardTimeout = 4 * time.Second
	impatience     = 300 * time.Millisecond
	badFor         = 10 * time.Second // a resolver that failed is asked last
	maxInFlight    = 1024             // queries waiting for others; beyond, we say SERVFAIL
)

// forwarder asks other resolvers and remembers what they said.
type forwarder struct {
	upstreams atomic.Pointer[[]*upstream]
	cache     *cache
	slots     chan struct{}

	mu      sync.Mutex
	flights map[question]*flight
}

type upstream struct {
	addr   string
	failed atomic.Int64 // unix nanoseconds of the last failure
}

// flight is one query under way that others with the same question wait for.
type flight struct {
	done  chan struct{}
	reply *dns.Msg
}

func newForwarder(addrs []string) *forwarder {
	f := &forwarder{cache: newCache(), slots: make(chan struct{}, maxInFlight), flights: map[question]*flight{}}
	f.use(addrs)
	return f
}

// use replaces the resolvers.
func (f *forwarder) use(addrs []string) {
	list := make([]*upstream, len(addrs))
	for i, a := range addrs {
		list[i] = &upstream{addr: a}
	}
	f.upstreams.Store(&list)
	f.cache.clear()
}

// ask gives a reply to q, SERVFAIL when nobody knows. tcp: the asker can take a long answer.
func (f *forwarder) ask(ctx context.Context, q *dns.Msg, tcp bool) *dns.Msg {
	key := questionOf(q, tcp)
	if m := f.cache.get(key, time.Now()); m != nil {
		return readdress(m, q)
	}
	f.mu.Lock()
	fl := f.flights[key]
	first := fl == nil
	if first {
		fl = &flight{done: make(chan struct{})}
		f.flights[key] = fl
	}
	f.mu.Unlock()
	if !first {
		select {
		case <-fl.done:
			return readdress(fl.reply, q)
		case <-ctx.Done():
			return readdress(nil, q)
		}
	}
	fl.reply = f.race(ctx, key)
	f.mu.Lock()
	delete(f.flights, key)
	f.mu.Unlock()
	close(fl.done)
	if fl.reply != nil {
		f.cache.put(key, fl.reply, time.Now())
	}
	return readdress(fl.reply, q)
}

// readdress makes a reply of somebody's an answer to q.
func readdress(m, q *dns.Msg) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(q)
	r.RecursionAvailable = true
	if m == nil {
		r.Rcode = dns.RcodeServerFailure
		return r
	}
	r.Rcode, r.Truncated, r.AuthenticatedData = m.Rcode, m.Truncated, m.AuthenticatedData
	r.Answer, r.Ns, r.Extra = m.Answer, m.Ns, m.Extra
	return r
}

// race asks one resolver after the other without waiting for the earlier to give up.
func (f *forwarder) race(ctx context.Context, key question) *dns.Msg {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return nil
	}
	order := f.order(time.Now())
	ctx, cancel := context.WithCancel(ctx)
	replies := make(chan *dns.Msg, len(order))
	var wg sync.WaitGroup
	defer wg.Wait() // they end at once when the context does
	defer cancel()
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	waiting, fallback := 0, (*dns.Msg)(nil)
	for {
		if len(order) > 0 {
			up := order[0]
			order = order[1:]
			waiting++
			wg.Go(func() { replies <- up.exchange(ctx, key) })
			timer.Reset(impatience)
		}
		if waiting == 0 {
			return fallback
		}
		select {
		case m := <-replies:
			waiting--
			if m != nil && m.Rcode != dns.RcodeServerFailure && m.Rcode != dns.RcodeRefused {
				return m
			}
			if m != nil {
				fallback = m
			}
		case <-timer.C:
		case <-ctx.Done():
			return fallback
		}
	}
}

// order puts those that failed lately last.
func (f *forwarder) order(now time.Time) []*upstream {
	list := slices.Clone(*f.upstreams.Load())
	bad := func(u *upstream) int {
		if now.UnixNano()-u.failed.Load() < int64(badFor) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b *upstream) int { return bad(a) - bad(b) })
	return list
}

// exchange asks one resolver; nil when it does not answer. Every query has a socket, hence a port, of its own.
func (u *upstream) exchange(ctx context.Context, key question) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(key.name, key.kind)
	q.CheckingDisabled = key.cd
	q.SetEdns0(ednsSize, key.do)
	m, err := over(ctx, "udp", u.addr, q)
	if err == nil && m.Truncated && key.tcp {
		m, err = over(ctx, "tcp", u.addr, q)
	}
	if err != nil || !answers(m, key) {
		if ctx.Err() == nil {
			u.failed.Store(time.Now().UnixNano())
		}
		return nil
	}
	return m
}

func over(ctx context.Context, network, addr string, q *dns.Msg) (*dns.Msg, error) {
	c := dns.Client{Net: network, Timeout: forwardTimeout, UDPSize: ednsSize}
	conn, err := c.DialContext(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	m, _, err := c.ExchangeWithConnContext(ctx, q, conn)
	return m, err
}

// answers guards against a reply to another question.
func answers(m *dns.Msg, key question) bool {
	return m.Response && len(m.Question) == 1 && m.Question[0].Qtype == key.kind && dns.CanonicalName(m.Question[0].Name) == key.name
}
