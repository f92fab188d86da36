package apiserver

import (
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"sort"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// output is how the client wants its answer.
type output struct {
	format  codec.Format
	as      string // "", Table, PartialObjectMetadata, PartialObjectMetadataList
	version string // of as: v1 or v1beta1
	include string // of Table: None, Metadata, Object
	pretty  bool
	gzip    bool
}

var plain = output{format: codec.JSON}

// negotiate is negotiate for what the call answers: custom resources have no protobuf, only their metadata has.
func (c *call) negotiate(r *http.Request, q url.Values, transforms ...string) (output, error) {
	o, err := negotiate(r, q, transforms...)
	if err != nil || c.kind.Custom == nil || o.format != codec.Protobuf || o.as != "" || c.sub != nil && c.sub.Scale != nil {
		return o, err
	}
	var rest []string
	for _, part := range byQuality(r.Header.Get("Accept")) {
		if typ, p, err := mime.ParseMediaType(part); err == nil && (typ != codec.TypeProtobuf || p["as"] != "") {
			rest = append(rest, part)
		}
	}
	if len(rest) == 0 {
		if c.verb == "delete" || c.verb == "deletecollection" {
			return o, nil // for the Status
		}
		return o, notAcceptable()
	}
	other := *r
	other.Header = r.Header.Clone()
	other.Header.Set("Accept", strings.Join(rest, ","))
	return negotiate(&other, q, transforms...)
}

// negotiate reads Accept. transforms says which as= are possible here.
func negotiate(r *http.Request, q url.Values, transforms ...string) (output, error) {
	o := output{pretty: isTrue(q, "pretty"), include: q.Get("includeObject"), gzip: compress(r)}
	accept := r.Header.Get("Accept")
	switch accept {
	case "", "*/*", codec.TypeJSON:
		return o, nil
	case codec.TypeProtobuf:
		o.format = codec.Protobuf
		return o, nil
	}
	for _, part := range byQuality(accept) {
		typ, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		f, ok := formatOf(typ)
		if !ok {
			continue
		}
		if as := params["as"]; as != "" {
			if params["g"] != "meta.k8s.io" || params["v"] != "v1" && params["v"] != "v1beta1" || !contains(transforms, as) {
				continue
			}
			if as == "Table" && f == codec.Protobuf {
				continue
			}
			o.as, o.version = as, params["v"]
		}
		o.format = f
		return o, nil
	}
	return plain, &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join([]string{codec.TypeJSON, codec.TypeYAML, codec.TypeProtobuf}, ", "),
	}}
}

// compress: the client takes gzip and is far enough away for that to save time.
func compress(r *http.Request) bool {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return false
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err != nil || !a.Addr().Unmap().IsLoopback()
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func formatOf(mediaType string) (codec.Format, bool) {
	switch mediaType {
	case codec.TypeJSON, "*/*", "application/*", "text/json":
		return codec.JSON, true
	case codec.TypeProtobuf:
		return codec.Protobuf, true
	case codec.TypeYAML, "text/yaml", "application/x-yaml":
		return codec.YAML, true
	}
	return 0, false
}

// byQuality splits an Accept header, the most wanted first.
func byQuality(accept string) []string {
	parts := strings.Split(accept, ",")
	if !strings.Contains(accept, "q=") {
		return parts
	}
	q := func(s string) float64 {
		_, p, _ := mime.ParseMediaType(s)
		if v, err := strconv.ParseFloat(p["q"], 64); err == nil {
			return v
		}
		return 1
	}
	sort.SliceStable(parts, func(i, j int) bool { return q(parts[i]) > q(parts[j]) })
	return parts
}

// inputFormat reads Content-Type; JSON when there is none.
func inputFormat(r *http.Request) (codec.Format, error) {
	ct := r.Header.Get("Content-Type")
	if ct == "" || ct == codec.TypeJSON {
		return codec.JSON, nil
	}
	typ, _, err := mime.ParseMediaType(ct)
	if err == nil {
		if f, ok := formatOf(typ); ok && typ != "*/*" {
			return f, nil
		}
	}
	return 0, unsupportedType(ct, codec.TypeJSON, codec.TypeYAML, codec.TypeProtobuf)
}

func unsupportedType(got string, want ...string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " + strings.Join(want, ", "),
	}}
}
