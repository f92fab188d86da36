package network

import (
	"fmt"

	"github.com/dhow-project/dhow/internal/linux/nft"
)

func firewallWarnings(chains []nft.BaseChain, bridge string) []string {
	var out []string
	for _, c := range chains {
		where := fmt.Sprintf("chain %s of nftables table %s", c.Name, c.Table)
		switch c.Hook {
		case "forward":
			out = append(out, fmt.Sprintf("%[1]s drops forwarded packets by default, so sandboxes may reach neither each other nor the outside: "+
				"add rules there that accept packets that come in or go out by %[2]s (iptables -I FORWARD -i %[2]s -j ACCEPT; iptables -I FORWARD -o %[2]s -j ACCEPT)", where, bridge))
		case "input":
			out = append(out, fmt.Sprintf("%s drops packets to this host by default, but published ports are forwarded and pass by it: "+
				"restrict them in a forward chain, or publish on a host IP such as 127.0.0.1", where))
		}
	}
	return out
}
