package apiserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// freshWait is how long a request waits for a resourceVersion that is not there yet, as upstream.
const freshWait = 3 * time.Second

// listing is the answer to a list.
type listing struct {
	entries []*cache.Entry
	meta    metav1.ListMeta
}

// fresh waits until the cache is as new as resourceVersion asks: empty means all that was acknowledged.
func (s *Server) fresh(c *call, resourceVersion string) error {
	switch resourceVersion {
	case "":
		return s.cache.WaitCurrent(c.ctx)
	case "0":
		return nil
	}
	rev, err := parseRevision(resourceVersion)
	if err != nil {
		return err
	}
	return s.reach(c.ctx, rev)
}

func (s *Server) reach(ctx context.Context, rev int64) error {
	if s.cache.Published() >= rev {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	if s.cache.Wait(ctx, rev) != nil {
		return tooLarge(rev, s.cache.Published())
	}
	return nil
}

func parseRevision(rv string) (int64, error) {
	rev, err := strconv.ParseUint(rv, 10, 63)
	if err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", err))
	}
	return int64(rev), nil
}

// continuation is upstream's continue token.
type continuation struct {
	Version  string `json:"v"`
	Revision int64  `json:"rv"`
	Start    string `json:"start"` // key after which to go on, with a zero byte at its end
}

func (t continuation) String() string {
	b, _ := json.Marshal(t) // cannot fail: strings and a number
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseContinue(s string) (continuation, error) {
	var t continuation
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil || t.Version != "meta.k8s.io/v1" || t.Revision == 0 {
		return t, apierrors.NewBadRequest("continue key is not valid")
	}
	t.Start = strings.TrimSuffix(t.Start, "\x00")
	return t, nil
}

// list reads a consistent snapshot, or a page of it.
func (s *Server) list(c *call, o metav1.ListOptions) (*listing, error) {
	f, err := newFilter(c.kind, c.version, c.namespace, c.name, o.LabelSelector, o.FieldSelector)
	if err != nil {
		return nil, err
	}
	if err := checkMatch(o); err != nil {
		return nil, err
	}
	tree, rev, after, err := s.snapshotFor(c, o)
	if err != nil {
		return nil, err
	}
	l := &listing{meta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(rev, 10)}}
	last, more := "", false
	if f.everything() && c.namespace == "" {
		n := tree.Len()
		if o.Limit > 0 {
			n = min(n, int(o.Limit))
		}
		l.entries = make([]*cache.Entry, 0, n)
	}
	if err := f.prepare(c, tree); err != nil {
		return nil, err
	}
	cache.Range(tree, c.namespace, after, func(e *cache.Entry) bool {
		if !f.match(e) {
			return true
		}
		if o.Limit > 0 && int64(len(l.entries)) == o.Limit {
			more = true
			return false
		}
		l.entries = append(l.entries, e)
		last = e.Key
		return true
	})
	if more {
		l.meta.Continue = continuation{"meta.k8s.io/v1", rev, last + "\x00"}.String()
		if f.everything() {
			n := int64(0)
			cache.Range(tree, c.namespace, last, func(*cache.Entry) bool { n++; return true })
			l.meta.RemainingItemCount = &n
		}
	}
	return l, nil
}

// snapshotFor picks the state of the kind that resourceVersion, its match and continue ask for.
func (s *Server) snapshotFor(c *call, o metav1.ListOptions) (*cache.Tree, int64, string, error) {
	if o.Continue != "" {
		return s.continueFrom(c, o.Continue)
	}
	if o.ResourceVersionMatch == metav1.ResourceVersionMatchExact {
		rev, err := parseRevision(o.ResourceVersion)
		if err == nil {
			err = s.reach(c.ctx, rev)
		}
		if err != nil {
			return nil, 0, "", err
		}
		tree, err := s.cache.SnapshotAt(c.kind, rev)
		if err != nil {
			return nil, 0, "", apierrors.NewResourceExpired("The resourceVersion for the provided list is too old.")
		}
		return tree, rev, "", nil
	}
	if err := s.fresh(c, o.ResourceVersion); err != nil {
		return nil, 0, "", err
	}
	tree, rev := s.cache.Snapshot(c.kind)
	return tree, rev, "", nil
}

func (s *Server) continueFrom(c *call, token string) (*cache.Tree, int64, string, error) {
	t, err := parseContinue(token)
	if err != nil {
		return nil, 0, "", err
	}
	if t.Revision < 0 { // goes on in whatever there is now
		tree, rev := s.cache.Snapshot(c.kind)
		return tree, rev, t.Start, nil
	}
	if err := s.reach(c.ctx, t.Revision); err != nil {
		return nil, 0, "", err
	}
	tree, err := s.cache.SnapshotAt(c.kind, t.Revision)
	if err == nil {
		return tree, t.Revision, t.Start, nil
	}
	expired := apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. " +
		"You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
		"Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time " +
		"the first chunk was returned and now may show up in the list.")
	expired.ErrStatus.ListMeta.Continue = continuation{"meta.k8s.io/v1", -1, t.Start + "\x00"}.String()
	return nil, 0, "", expired
}

// checkMatch refuses the combinations of options that upstream refuses.
func checkMatch(o metav1.ListOptions) error {
	m := o.ResourceVersionMatch
	switch {
	case m == "":
		if o.Continue != "" && o.ResourceVersion != "" && o.ResourceVersion != "0" {
			return apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
		}
		return nil
	case m != metav1.ResourceVersionMatchExact && m != metav1.ResourceVersionMatchNotOlderThan:
		return badListOption("resourceVersionMatch", fmt.Sprintf(
			`Unsupported value: %q: supported values: "Exact", "NotOlderThan"`, m))
	case o.Continue != "":
		return badListOption("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden when continue is provided")
	case o.ResourceVersion == "":
		return badListOption("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
	case m == metav1.ResourceVersionMatchExact && o.ResourceVersion == "0":
		return badListOption("resourceVersionMatch", `Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`)
	}
	return nil
}

func badListOption(name, why string) error {
	err := apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)
	err.ErrStatus.Message = fmt.Sprintf(`ListOptions.meta.k8s.io "" is invalid: %s: %s`, name, why)
	return err
}

func (s *Server) serveList(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	o, err := c.negotiate(r, q, "Table", "PartialObjectMetadataList")
	if err != nil {
		return err
	}
	lo, err := listOptions(q)
	if err != nil {
		return err
	}
	l, err := s.list(c, lo)
	if err != nil {
		return err
	}
	if err := cache.Convert(c.ctx, c.kind, c.version, l.entries); err != nil {
		return err
	}
	gvk := c.gvk()
	gvk.Kind = c.kind.ListKindName()
	switch o.as {
	case "Table":
		t, err := s.table(c, o, l.entries, true)
		if err != nil {
			return err
		}
		t.ListMeta = l.meta
		s.object(w, r, o, http.StatusOK, metaKind(o, "Table"), t)
		return nil
	case "PartialObjectMetadataList":
		p := &metav1.PartialObjectMetadataList{ListMeta: l.meta, Items: make([]metav1.PartialObjectMetadata, len(l.entries))}
		for i, e := range l.entries {
			item, err := partial(c, e)
			if err != nil {
				return err
			}
			p.Items[i] = *item
			p.Items[i].SetGroupVersionKind(metaKind(o, "PartialObjectMetadata"))
		}
		s.object(w, r, o, http.StatusOK, metaKind(o, "PartialObjectMetadataList"), p)
		return nil
	}
	f := o.format
	if f == codec.YAML {
		f = codec.JSON
	}
	items := make([][]byte, len(l.entries))
	for i, e := range l.entries {
		if items[i], err = e.Body(c.kind, c.version, f); err != nil {
			if errors.Is(err, codec.ErrNoProtobuf) {
				return notAcceptable()
			}
			return err
		}
		if c.kind.Custom != nil { // these say in lists too what they are
			items[i] = codec.AppendWithKind(nil, f, c.gvk(), items[i])
		}
	}
	parts, err := codec.List(f, gvk, l.meta, items)
	if err != nil {
		return err
	}
	if o.format == codec.YAML || o.pretty && f == codec.JSON {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		s.bytes(w, r, o, http.StatusOK, all)
		return nil
	}
	s.pieces(w, r, o, http.StatusOK, parts)
	return nil
}
