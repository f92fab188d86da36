package apiserver

import "net/http"

// connector finds who serves a streaming subresource.
func (s *Server) connector(c *call) func(http.ResponseWriter, *http.Request, *Connection) {
	if c.subresource == "" {
		return nil
	}
	return s.Connect[c.kind.Resource+"/"+c.subresource]
}

// mayConnect: WebSockets come as GET, but running commands takes the right to create (KEP-4006, upstream since v1.35).
// What is proxied answers OPTIONS itself.
func (s *Server) mayConnect(c *call, method string) error {
	if !s.allowed(c) && !(c.subresource == "proxy" && method == http.MethodOptions) {
		return methodNotAllowed()
	}
	switch c.subresource {
	case "exec", "attach", "portforward":
		if c.verb == "get" {
			return s.authorize(c.ctx, c.attributes("create"))
		}
	}
	return nil
}
