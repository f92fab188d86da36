package spec

import "testing"

func FuzzParseResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 1.1.1.1\nsearch a b\noptions ndots:5\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { ParseResolvConf(b) })
}
