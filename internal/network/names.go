package network

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
)

// names of what a manager makes on the host. Link names have at most 15 bytes (IFNAMSIZ, netdevice(7)).
type names struct {
	bridge string
	prefix string // of host links
	table  string
	group  uint32 // of links about to be deleted
}

const maxLinkName = 15

func namesFor(name string) names {
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:3])
	bridge := "dhow-" + name
	if len(bridge) > maxLinkName || !plain(name) {
		bridge = "dhow-" + hash
	}
	return names{bridge: bridge, prefix: "dh" + hash, table: "dhow-" + name, group: binary.BigEndian.Uint32(sum[:])>>1 | 1<<30}
}

// plain tells whether s may be part of a link's or a file's name.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return s != "" && s[0] != '.'
}

// link is a fresh name for a host link, and for the namespace at its other end.
func (n names) link() string {
	var b [5]byte
	rand.Read(b[:])
	enc := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	return n.prefix + enc.EncodeToString(b[:])[:maxLinkName-len(n.prefix)]
}

// owns tells whether a link is one of ours.
func (n names) owns(link string) bool {
	return len(link) == maxLinkName && link[:len(n.prefix)] == n.prefix
}
