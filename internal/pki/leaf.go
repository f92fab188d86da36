package pki

import "net"

// AdminLeaf is the certificate in the user's kubeconfig.
func AdminLeaf() Leaf {
	return Leaf{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}, Client: true}
}

// ComponentLeaf is the client certificate of a part of the control plane, "system:kube-scheduler".
func ComponentLeaf(user string) Leaf { return Leaf{CommonName: user, Client: true} }

// NodeLeaf is the client certificate of a node.
func NodeLeaf(node string) Leaf {
	return Leaf{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}, Client: true}
}

// KubeletLeaf is the serving certificate of a node.
func KubeletLeaf(node string, ips []net.IP) Leaf {
	l := NodeLeaf(node)
	l.Client, l.Server = false, true
	l.Names, l.IPs = []string{node, "localhost"}, ips
	return l
}

// APIServerLeaf is the serving certificate of the API server under the names that clients in and outside the cluster
// use. domain is the cluster's ("cluster.local"); ips has the cluster IP of the Service "kubernetes" and the machine's own.
func APIServerLeaf(domain string, names []string, ips []net.IP) Leaf {
	const svc = "kubernetes.default.svc"
	return Leaf{
		CommonName: "kube-apiserver", Server: true,
		Names: append([]string{"localhost", "kubernetes", "kubernetes.default", svc, svc + "." + domain}, names...),
		IPs:   append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, ips...),
	}
}
