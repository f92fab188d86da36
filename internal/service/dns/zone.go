package dns

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/types"
)

// record is one resource record without what all have in common.
type record struct {
	name   string // canonical
	kind   uint16 // dns.TypeA, TypeAAAA, TypeSRV, TypePTR, TypeCNAME, TypeTXT, TypeNS
	addr   netip.Addr
	port   uint16
	target string // of SRV, PTR, CNAME, NS; text of TXT
}

// zone is names and their records, changed one Service at a time. Safe for concurrent use.
//
// A name that only has names below it exists too: asking for it is NODATA, not NXDOMAIN (RFC 8020).
type zone struct {
	origin string

	mu     sync.RWMutex
	nodes  map[string]*node
	owned  map[types.NamespacedName][]record
	serial uint32
}

type node struct {
	records []owned
	below   int // names right below
}

type owned struct {
	owner types.NamespacedName
	record
}

// specVersion is the DNS specification we follow.
const specVersion = "1.1.0"

func newZone(origin string, addresses []netip.Addr) *zone {
	z := &zone{origin: origin, nodes: map[string]*node{}, owned: map[types.NamespacedName][]record{}}
	server := "ns.dns." + origin
	own := []record{
		{name: "dns-version." + origin, kind: dns.TypeTXT, target: specVersion},
		{name: origin, kind: dns.TypeNS, target: server},
	}
	for _, a := range addresses {
		own = append(own, addressRecord(server, a))
	}
	for _, top := range []string{"svc." + origin, "pod." + origin} {
		z.ensure(top) // they exist before anything is below
		z.nodes[top].below++
	}
	z.replace(types.NamespacedName{}, own)
	return z
}

func addressRecord(name string, a netip.Addr) record {
	if a.Is4() {
		return record{name: name, kind: dns.TypeA, addr: a}
	}
	return record{name: name, kind: dns.TypeAAAA, addr: a}
}

// replace makes the records of one owner be these.
func (z *zone) replace(owner types.NamespacedName, records []record) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.serial++
	for _, r := range records {
		n := z.ensure(r.name)
		n.records = append(n.records, owned{owner, r})
	}
	for _, r := range z.owned[owner] {
		z.remove(owner, r)
	}
	if len(records) == 0 {
		delete(z.owned, owner)
	} else {
		z.owned[owner] = records
	}
}

func (z *zone) ensure(name string) *node {
	n := z.nodes[name]
	if n != nil {
		return n
	}
	n = &node{}
	z.nodes[name] = n
	if up := parent(name); up != "" && within(up, z.origin) {
		z.ensure(up).below++
	}
	return n
}

// remove takes the oldest record that says this, so that the newer twin of an unchanged one stays.
func (z *zone) remove(owner types.NamespacedName, r record) {
	n := z.nodes[r.name]
	for i, x := range n.records {
		if x.owner == owner && x.record == r {
			n.records = append(n.records[:i:i], n.records[i+1:]...)
			break
		}
	}
	z.prune(r.name)
}

func (z *zone) prune(name string) {
	n := z.nodes[name]
	if n == nil || len(n.records) > 0 || n.below > 0 {
		return
	}
	delete(z.nodes, name)
	if up := parent(name); up != "" && within(up, z.origin) {
		z.nodes[up].below--
		z.prune(up)
	}
}

func parent(name string) string {
	_, up, _ := strings.Cut(name, ".")
	return up
}

// find gives the records of a name; false when the name does not exist.
func (z *zone) find(name string) ([]owned, bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	n := z.nodes[name]
	if n == nil {
		return nil, false
	}
	return n.records[:len(n.records):len(n.records)], true
}

func (z *zone) currentSerial() uint32 {
	z.mu.RLock()
	defer z.mu.RUnlock()
	return z.serial
}
