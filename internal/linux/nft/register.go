package nft

import (
	"fmt"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Statements on the sixteen 32-bit registers a rule has, for what one look-up
// cannot say. An address takes 1 (IPv4) or 4 registers, everything else 1.

// Load reads the fields into registers from to on.
func Load(to int, fields ...Field) Stmt {
	return Stmt{fmt.Sprintf("r%d = %s", to, concatText(fields)), loadAll(firstReg+uint32(to), fields)}
}

// Map looks up the key that begins at register from; the value goes to register to on. No such key: the rule ends.
func Map(m string, from, to int) Stmt {
	return Stmt{fmt.Sprintf("r%d = r%d map @%s", to, from, m), []expr.Any{
		&expr.Lookup{SourceRegister: firstReg + uint32(from), DestRegister: firstReg + uint32(to), IsDestRegSet: true, SetName: m}}}
}

// Member matches when the key at register from is in the set.
func Member(set string, from int) Stmt {
	return Stmt{fmt.Sprintf("r%d @%s", from, set), []expr.Any{&expr.Lookup{SourceRegister: firstReg + uint32(from), SetName: set}}}
}

// Remember puts key and value into a dynamic map for a time, or renews them.
func Remember(m string, key, value int, timeout time.Duration) Stmt {
	return Stmt{fmt.Sprintf("update @%s { r%d : r%d timeout %s }", m, key, value, timeout), []expr.Any{
		&expr.Dynset{SrcRegKey: firstReg + uint32(key), SrcRegData: firstReg + uint32(value), SetName: m,
			Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: timeout}}}
}

// DNATTo sends the packet to the address at register from and the port right after it.
func DNATTo(v6 bool, from int) Stmt {
	fam, words, text := uint32(unix.NFPROTO_IPV4), uint32(1), "ip"
	if v6 {
		fam, words, text = unix.NFPROTO_IPV6, 4, "ip6"
	}
	reg := firstReg + uint32(from)
	return Stmt{fmt.Sprintf("dnat %s to r%d", text, from), []expr.Any{
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: fam, RegAddrMin: reg, RegProtoMin: reg + words}}}
}

const dynsetDelete = 2 // NFT_DYNSET_OP_DELETE in linux/netfilter/nf_tables.h

// Forget removes the key at register key from a dynamic map, if it is there. The kernel wants to know of a loaded value too.
func Forget(m string, key, value int) Stmt {
	return Stmt{fmt.Sprintf("delete @%s { r%d : r%d }", m, key, value), []expr.Any{
		&expr.Dynset{SrcRegKey: firstReg + uint32(key), SrcRegData: firstReg + uint32(value), SetName: m, Operation: dynsetDelete}}}
}

// VMapAt goes where the verdict map sends the key at register from.
func VMapAt(m string, from int) Stmt {
	return Stmt{fmt.Sprintf("r%d vmap @%s", from, m), []expr.Any{
		&expr.Lookup{SourceRegister: firstReg + uint32(from), DestRegister: 0, IsDestRegSet: true, SetName: m}}}
}
