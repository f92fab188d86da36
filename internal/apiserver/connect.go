package apiserver

import "net/http"

// connector finds who serves a streaming subresource.
func (s *Server) connector(c *call) func(http.ResponseWriter, *http.Request, *Connection) {
	if c.subresource == "" {
		return nil
	}
	return s.Connect[c.kind.Resource+"/"+c.subresource]
}
