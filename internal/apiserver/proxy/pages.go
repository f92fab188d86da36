package proxy

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/html"
)

// maxToken bounds what is kept of one tag or text.
const maxToken = 1 << 20

// rewritePages lets the links of a proxied server's HTML lead through the proxy, so that a browser can follow them.
// Encoded bodies pass as they are: transports to workloads do not ask for any, only clients do.
func rewritePages(resp *http.Response, host, prefix string) {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/html" || resp.Header.Get("Content-Encoding") != "" || resp.Request.Method == http.MethodHead {
		return
	}
	z := html.NewTokenizer(resp.Body)
	z.SetMaxBuf(maxToken)
	resp.Body = &pages{z: z, body: resp.Body, host: host, prefix: prefix}
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
}

// pages is a body whose links are rewritten while it is read.
type pages struct {
	z            *html.Tokenizer
	body         io.Closer
	host, prefix string
	ready        bytes.Buffer
}

func (p *pages) Close() error { return p.body.Close() }

func (p *pages) Read(b []byte) (int, error) {
	for p.ready.Len() == 0 {
		kind := p.z.Next()
		p.token(kind)
		if kind == html.ErrorToken && p.ready.Len() == 0 {
			return 0, p.z.Err()
		}
	}
	return p.ready.Read(b)
}

// token copies what has no link to change byte by byte.
func (p *pages) token(kind html.TokenType) {
	raw := bytes.Clone(p.z.Raw()) // reading attributes changes it
	if kind == html.StartTagToken || kind == html.SelfClosingTagToken {
		t, changed := p.z.Token(), false
		for i := range t.Attr {
			if a := &t.Attr[i]; linkAttribute(t.Data, a.Key) {
				if to := proxied(a.Val, p.host, p.prefix); to != a.Val {
					a.Val, changed = to, true
				}
			}
		}
		if changed {
			p.ready.WriteString(t.String())
			return
		}
	}
	p.ready.Write(raw)
}

// linkAttribute: the attributes of HTML whose value is one URL.
func linkAttribute(element, attribute string) bool {
	switch attribute {
	case "action", "background", "cite", "codebase", "formaction", "href", "longdesc", "manifest", "poster", "profile", "src":
		return true
	case "data":
		return element == "object"
	}
	return false
}

// proxied leads a link to the server itself through the proxy; relative links and those of other hosts are right already.
func proxied(link, host, prefix string) string {
	u, err := url.Parse(link)
	if err != nil || u.Host != "" && u.Host != host || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, prefix) {
		return link
	}
	slash := strings.HasSuffix(u.Path, "/")
	u.Scheme, u.Host, u.Path = "", "", path.Join(prefix, u.Path)
	if slash {
		u.Path += "/"
	}
	return u.String()
}
