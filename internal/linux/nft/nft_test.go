package nft_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"

	"github.com/dhow-project/dhow/internal/linux/netns/netnstest"
	"github.com/dhow-project/dhow/internal/linux/nft"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func numbers() nft.Set {
	return nft.Set{Name: "n", Key: []nft.Type{nft.NumberType()}, Value: []nft.Type{nft.IPv4Type(), nft.PortType()}}
}

func element(i uint32) nft.Element {
	return nft.Element{Key: nft.AppendNumber(nil, i), Value: nft.AppendPort(nft.AppendAddr(nil, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})), 80)}
}

func count(t *testing.T, table string) int {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.GetSetByName(&nftables.Table{Name: table, Family: nftables.TableFamilyINet}, "n")
	if err != nil {
		return -1
	}
	e, err := c.GetSetElements(s)
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func TestTransactionsAreAllOrNothing(t *testing.T) {
	netnstest.Need(t)
	c, err := nft.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	table := nft.Table{Name: "dhow-nfttest", Sets: []nft.Set{numbers()}, Chains: []nft.Chain{
		{Name: "in", Hook: nft.FilterInput(0), Rules: []nft.Rule{{nft.V4(), nft.Proto(17), nft.Jump("next")}}},
		{Name: "next", Rules: []nft.Rule{{nft.Return()}}}}}
	for i := range uint32(1000) {
		table.Sets[0].Elements = append(table.Sets[0].Elements, element(i))
	}
	for range 2 { // over itself
		if err := c.Replace(table); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, table.Name); n != 1000 {
		t.Errorf("%d elements after replace", n)
	}

	b := c.Batch(table.Name)
	b.Remove(numbers(), []nft.Element{element(1), element(2)})
	b.Remove(numbers(), []nft.Element{element(5000)}) // is not there
	if b.Commit() == nil {
		t.Error("a missing element was removed")
	}
	if n := count(t, table.Name); n != 1000 {
		t.Errorf("%d elements after a failed transaction", n)
	}

	b = c.Batch(table.Name)
	b.Remove(numbers(), []nft.Element{element(1), element(2)})
	again := element(1)
	again.Value = element(7).Value
	b.Add(numbers(), []nft.Element{again})
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
	if n := count(t, table.Name); n != 999 {
		t.Errorf("%d elements after a change", n)
	}
	for range 2 {
		if err := c.Delete(table.Name); err != nil {
			t.Error(err)
		}
	}
	if n := count(t, table.Name); n != -1 {
		t.Error("table still there")
	}
}

func TestForeignDropsAreSeen(t *testing.T) {
	netnstest.Need(t)
	raw, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := raw.AddTable(&nftables.Table{Name: "filter", Family: nftables.TableFamilyIPv4})
	drop := nftables.ChainPolicyDrop
	raw.AddChain(&nftables.Chain{Table: table, Name: "FORWARD", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop})
	if err := raw.Flush(); err != nil {
		t.Fatal(err)
	}
	defer func() { raw.DelTable(table); raw.Flush() }()
	c, err := nft.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.ForeignDrops("dhow-x")
	if diff := cmp.Diff([]nft.BaseChain{{Table: "filter", Name: "FORWARD", Hook: "forward", Drops: true}}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
