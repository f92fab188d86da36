package spec

import "strings"

// sysctlOfHost tells whether a sysctl is the host's, given the container's namespaces (sysctl is namespaced:
// namespaces(7), ipc_namespaces(7), network_namespaces(7)).
func sysctlOfHost(key string, n Namespaces) bool {
	key = strings.ReplaceAll(key, "/", ".")
	switch {
	case strings.HasPrefix(key, "net."):
		return n.Net == Host
	case strings.HasPrefix(key, "fs.mqueue."):
		return n.IPC == Host
	case key == "kernel.domainname", key == "kernel.hostname":
		return n.UTS == Host
	}
	for _, k := range [...]string{"msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"} {
		if key == "kernel."+k {
			return n.IPC == Host
		}
	}
	return true
}
