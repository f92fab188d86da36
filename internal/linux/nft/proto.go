package nft

import "golang.org/x/sys/unix"

// Transport protocols by number, for Proto and for elements of ProtoType.
const (
	TCP  = unix.IPPROTO_TCP
	UDP  = unix.IPPROTO_UDP
	SCTP = unix.IPPROTO_SCTP
)
