// Package nft changes nftables through netlink: one table of ours at a time,
// one atomic transaction at a time, without listing anything back.
//
// Tables are described as data (Table, Set, Chain, Rule) that prints as nft(8)
// would, so a plan can be compared with a golden file. Family is always inet. Read this file first.
package nft

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Table is a whole table.
type Table struct {
	Name   string
	Sets   []Set
	Chains []Chain
}

// Set is a set, a map (Value) or a verdict map (Verdicts).
type Set struct {
	Name     string
	Key      []Type
	Value    []Type
	Verdicts bool
	// Dynamic sets are filled by rules; elements time out.
	Dynamic bool
	// Ranges: an element matches everything from Key to End, part by part.
	Ranges   bool
	Size     int // most elements; 0: no limit
	Elements []Element
}

// Element of a set. Key and Value are made with the Append functions. Goto is
// the chain of a verdict map's element; Drop drops.
type Element struct {
	Key, Value []byte
	End        []byte // of Ranges
	Goto       string
	Drop       bool
	Timeout    time.Duration
}

// Chain is a base chain when Hook is set.
type Chain struct {
	Name  string
	Hook  *Hook
	Rules []Rule
}

// String is the table in nft's language, without elements.
func (t Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s {\n", t.Name)
	for _, s := range t.Sets {
		b.WriteString(s.String())
	}
	for _, c := range t.Chains {
		b.WriteString(c.String())
	}
	b.WriteString("}\n")
	return b.String()
}

func (s Set) String() string {
	kind, typ := "set", typeText(s.Key)
	if s.Verdicts {
		kind, typ = "map", typ+" : verdict"
	} else if s.Value != nil {
		kind, typ = "map", typ+" : "+typeText(s.Value)
	}
	if s.Ranges {
		typ += "; flags interval"
	}
	if s.Dynamic {
		typ += "; flags dynamic,timeout"
	}
	return fmt.Sprintf("\t%s %s { type %s; }\n", kind, s.Name, typ)
}

func (c Chain) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\tchain %s {\n", c.Name)
	if c.Hook != nil {
		fmt.Fprintf(&b, "\t\ttype %s priority %d; policy accept;\n", c.Hook.text, c.Hook.Priority)
	}
	for _, r := range c.Rules {
		fmt.Fprintf(&b, "\t\t%s\n", r)
	}
	b.WriteString("\t}\n")
	return b.String()
}

func typeText(ts []Type) string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.String()
	}
	return strings.Join(names, " . ")
}

// Conn speaks to the kernel of the network namespace it was opened in. Not for
// concurrent use.
type Conn struct {
	nl *nftables.Conn
}

// A whole table must fit into one message to the kernel to be one transaction.
const (
	sendBuffer    = 128 << 20
	receiveBuffer = 16 << 20
)

// Open opens a connection that stays.
func Open() (*Conn, error) {
	nl, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(sendBuffer), c.SetReadBuffer(receiveBuffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return &Conn{nl}, nil
}

// Close closes it.
func (c *Conn) Close() error { return c.nl.CloseLasting() }

// Replace makes t be exactly what the kernel has under its name, at once.
func (c *Conn) Replace(t Table) error {
	b := c.Batch(t.Name)
	b.deleteTable()
	b.nl.AddTable(b.table)
	for _, s := range t.Sets {
		b.AddSet(s)
	}
	b.AddChains(t.Chains)
	for _, s := range t.Sets {
		b.Add(s, s.Elements)
	}
	return b.Commit()
}

// Delete removes the table if it exists.
func (c *Conn) Delete(table string) error {
	b := c.Batch(table)
	b.deleteTable()
	return b.Commit()
}

// BaseChain is a chain of anyone's that sees packets at a hook.
type BaseChain struct {
	Table, Name, Hook string
	Drops             bool // its policy is drop
}

// ForeignDrops lists base chains, not in table own, whose policy is drop at
// forward or input: a host firewall that ours cannot override.
func (c *Conn) ForeignDrops(own string) ([]BaseChain, error) {
	chains, err := c.nl.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list nftables chains: %w", err)
	}
	var out []BaseChain
	for _, ch := range chains {
		if ch.Hooknum == nil || ch.Policy == nil || *ch.Policy != nftables.ChainPolicyDrop || ch.Table.Name == own {
			continue
		}
		switch *ch.Hooknum {
		case *nftables.ChainHookForward:
			out = append(out, BaseChain{ch.Table.Name, ch.Name, "forward", true})
		case *nftables.ChainHookInput:
			out = append(out, BaseChain{ch.Table.Name, ch.Name, "input", true})
		}
	}
	return out, nil
}

// Batch is a transaction on one table. Nothing happens before Commit.
type Batch struct {
	nl     *nftables.Conn
	table  *nftables.Table
	nextID uint32
	err    error
}

// Batch begins a transaction.
func (c *Conn) Batch(table string) *Batch {
	return &Batch{nl: c.nl, table: &nftables.Table{Name: table, Family: nftables.TableFamilyINet}}
}

// deleteTable works on a missing table too: it is added first.
func (b *Batch) deleteTable() {
	b.nl.AddTable(b.table)
	b.nl.DelTable(b.table)
}

func (b *Batch) set(s Set) *nftables.Set {
	out := &nftables.Set{Table: b.table, Name: s.Name, KeyType: concatType(s.Key), Concatenation: len(s.Key) > 1,
		IsMap: s.Value != nil || s.Verdicts, Dynamic: s.Dynamic, HasTimeout: s.Dynamic, Interval: s.Ranges, Size: uint32(s.Size)}
	switch {
	case s.Verdicts:
		out.DataType = nftables.TypeVerdict
	case s.Value != nil:
		out.DataType = concatType(s.Value)
	}
	return out
}

func concatType(ts []Type) nftables.SetDatatype {
	if len(ts) == 1 {
		return ts[0].t
	}
	all := make([]nftables.SetDatatype, len(ts))
	for i, t := range ts {
		all[i] = t.t
	}
	return nftables.MustConcatSetType(all...)
}

// AddSet adds an empty set.
func (b *Batch) AddSet(s Set) {
	n := b.set(s)
	b.nextID++
	n.ID = b.nextID
	b.fail(b.nl.AddSet(n, nil))
}

// AddChains adds chains with their rules; they may refer to each other.
func (b *Batch) AddChains(cs []Chain) {
	for _, c := range cs {
		b.addChain(c)
	}
	for _, c := range cs {
		b.addRules(c)
	}
}

func (b *Batch) chain(c Chain) *nftables.Chain {
	out := &nftables.Chain{Table: b.table, Name: c.Name}
	if h := c.Hook; h != nil {
		policy := nftables.ChainPolicyAccept
		out.Type, out.Hooknum, out.Priority, out.Policy = h.Type, h.Num, nftables.ChainPriorityRef(nftables.ChainPriority(h.Priority)), &policy
	}
	return out
}

func (b *Batch) addChain(c Chain) { b.nl.AddChain(b.chain(c)) }

func (b *Batch) addRules(c Chain) {
	ch := b.chain(c)
	for _, r := range c.Rules {
		var e []expr.Any
		for _, s := range r {
			e = append(e, s.exprs...)
		}
		b.nl.AddRule(&nftables.Rule{Table: b.table, Chain: ch, Exprs: e})
	}
}

// ChangeChains gives chains that are there the rules they have here.
func (b *Batch) ChangeChains(cs []Chain) {
	for _, c := range cs {
		b.nl.FlushChain(&nftables.Chain{Table: b.table, Name: c.Name})
		b.addRules(c)
	}
}

// DeleteSet removes a set that no rule refers to any more.
func (b *Batch) DeleteSet(name string) { b.nl.DelSet(&nftables.Set{Table: b.table, Name: name}) }

// DeleteChains removes chains that nothing else refers to any more; they may refer to each other.
func (b *Batch) DeleteChains(names []string) {
	for _, name := range names {
		b.nl.FlushChain(&nftables.Chain{Table: b.table, Name: name})
	}
	for _, name := range names {
		b.nl.DelChain(&nftables.Chain{Table: b.table, Name: name})
	}
}

// An attribute is at most 64 KiB, so elements travel in portions.
const portion = 400

// Add adds elements. An element that is there with another value fails the whole transaction.
func (b *Batch) Add(s Set, elements []Element) {
	b.each(s, elements, b.nl.SetAddElements)
}

// Remove removes elements by key. A missing one fails the whole transaction.
func (b *Batch) Remove(s Set, elements []Element) {
	b.each(s, elements, b.nl.SetDeleteElements)
}

func (b *Batch) each(s Set, elements []Element, do func(*nftables.Set, []nftables.SetElement) error) {
	n := b.set(s)
	for len(elements) > 0 {
		some := elements[:min(portion, len(elements))]
		elements = elements[len(some):]
		out := make([]nftables.SetElement, len(some))
		for i, e := range some {
			out[i] = nftables.SetElement{Key: e.Key, KeyEnd: e.End, Val: e.Value, Timeout: e.Timeout}
			switch {
			case e.Goto != "":
				out[i].VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: e.Goto}
			case e.Drop:
				out[i].VerdictData = &expr.Verdict{Kind: expr.VerdictDrop}
			}
		}
		b.fail(do(n, out))
	}
}

func (b *Batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Commit sends the transaction: all of it happens, or nothing.
func (b *Batch) Commit() error {
	err := errors.Join(b.err, b.nl.Flush())
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return fmt.Errorf("change nftables table %s: the kernel lacks nftables (CONFIG_NF_TABLES_INET): %w", b.table.Name, err)
	}
	return fmt.Errorf("change nftables table %s: %w", b.table.Name, err)
}
