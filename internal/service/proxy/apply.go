package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/dhow-project/dhow/internal/linux/nft"
)

// kernel carries plans out.
type kernel struct {
	conn     *nft.Conn
	name     string
	podCIDRs []netip.Prefix
	sets     map[string]nft.Set
}

func openKernel(name string, podCIDRs []netip.Prefix) (*kernel, error) {
	conn, err := nft.Open()
	if err != nil {
		return nil, err
	}
	k := &kernel{conn: conn, name: name, podCIDRs: podCIDRs, sets: map[string]nft.Set{}}
	for _, s := range table(name, podCIDRs).Sets {
		k.sets[s.Name] = s
	}
	return k, nil
}

// load makes the whole table at once from a plan that starts at nothing. What was there before answers until it is there.
func (k *kernel) load(p plan) error {
	t := table(k.name, k.podCIDRs)
	for _, c := range p.addSets {
		t.Sets = append(t.Sets, setNamed(c.key))
	}
	for i, s := range t.Sets {
		t.Sets[i].Elements = elements(p.add[s.Name])
	}
	t.Chains = append(t.Chains, k.chains(p.addChains)...)
	return k.conn.Replace(t)
}

// change carries out a plan, all of it or nothing.
func (k *kernel) change(p plan) error {
	if p.empty() {
		return nil
	}
	b := k.conn.Batch(TableName(k.name))
	for _, c := range p.addSets {
		b.AddSet(setNamed(c.key))
	}
	b.AddChains(k.chains(p.addChains))
	b.ChangeChains(k.chains(p.changeChains))
	for _, set := range slices.Sorted(maps.Keys(p.remove)) {
		b.Remove(k.set(set), elements(p.remove[set]))
	}
	for _, set := range slices.Sorted(maps.Keys(p.add)) {
		b.Add(k.set(set), elements(p.add[set]))
	}
	b.DeleteChains(keys(p.removeChains))
	for _, name := range keys(p.removeSets) {
		b.DeleteSet(name)
	}
	return b.Commit()
}

func (k *kernel) set(name string) nft.Set {
	if s, ok := k.sets[name]; ok {
		return s
	}
	return setNamed(name)
}

func (k *kernel) chains(cs []claim) []nft.Chain {
	out := make([]nft.Chain, len(cs))
	for i, c := range cs {
		out[i] = chain(c, k.podCIDRs)
	}
	return out
}

func keys(cs []claim) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = c.key
	}
	return out
}

func elements(cs []claim) []nft.Element {
	out := make([]nft.Element, len(cs))
	for i, c := range cs {
		out[i] = c.element()
	}
	return out
}

func (c claim) element() nft.Element {
	e := nft.Element{Key: []byte(c.key)}
	if c.end != "" {
		e.End = []byte(c.end)
	}
	if c.value != "" {
		e.Value = []byte(c.value)
	}
	if c.to == dropping {
		e.Drop = true
	} else {
		e.Goto = c.to
	}
	return e
}

// Purge removes everything the proxy of a cluster made on this host.
func Purge(cluster string) error {
	conn, err := nft.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Delete(TableName(cluster)); err != nil {
		return fmt.Errorf("purge service table: %w", err)
	}
	return nil
}
