package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/node/logs"
)

// logs serves a container's log as kubectl asks for it.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	o, previous, err := logOptions(r.URL.Query())
	if err != nil {
		refuse(w, err)
		return
	}
	c, err := s.node.Container(r.PathValue("ns"), r.PathValue("pod"), "", r.PathValue("c"), previous)
	if err != nil {
		refuse(w, err)
		return
	}
	defer c.Close()
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	out := flusher{w, http.NewResponseController(w)}
	if o.Follow {
		_ = out.c.Flush()
	}
	err = logs.Read(r.Context(), c.LogPath, o, c.Done, out, out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && r.Context().Err() == nil {
		s.log.Debug("log not read to its end", "path", c.LogPath, "error", err)
	}
}

// flusher sends each line as it comes.
type flusher struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err == nil {
		err = f.c.Flush()
	}
	return n, err
}

// logOptions reads PodLogOptions from a query.
func logOptions(q url.Values) (o logs.Options, previous bool, err error) {
	o.Tail = -1
	number := func(key string, least int64, set func(int64)) {
		v := q.Get(key)
		if v == "" || err != nil {
			return
		}
		n, e := strconv.ParseInt(v, 10, 64)
		if e != nil || n < least {
			err = badRequest(fmt.Sprintf("%s: must be a number of at least %d, not %q", key, least, v))
			return
		}
		set(n)
	}
	number("tailLines", 0, func(n int64) { o.Tail = n })
	number("limitBytes", 1, func(n int64) { o.LimitBytes = n })
	number("sinceSeconds", 1, func(n int64) { o.Since = time.Now().Add(-time.Duration(n) * time.Second) })
	if v := q.Get("sinceTime"); v != "" {
		t, e := time.Parse(time.RFC3339, v)
		if e != nil {
			return o, false, badRequest("sinceTime: " + e.Error())
		}
		o.Since = t
	}
	o.Follow, o.Timestamps = truth(q, "follow"), truth(q, "timestamps")
	if v := strings.ToLower(q.Get("stream")); v == "stdout" || v == "stderr" {
		o.Stream = v
	}
	return o, truth(q, "previous"), err
}

func truth(q url.Values, key string) bool {
	if !q.Has(key) {
		return false
	}
	b, err := strconv.ParseBool(q.Get(key))
	return err == nil && b || q.Get(key) == ""
}
