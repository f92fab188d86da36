package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"
)

// health asks grpc.health.v1.Health/Check. One unary call over cleartext HTTP/2 is four small pieces (preface, headers,
// a five-byte frame, one string field), which net/http does; the gRPC library would add megabytes to the binary for it.
func health(ctx context.Context, addr, service string) (bool, string) {
	var msg []byte
	if service != "" {
		msg = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), service)
	}
	frame := append([]byte{0}, binary.BigEndian.AppendUint32(nil, uint32(len(msg)))...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/grpc.health.v1.Health/Check", bytes.NewReader(append(frame, msg...)))
	if err != nil {
		return false, err.Error()
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	r.Header.Set("User-Agent", "kube-probe/1.36")
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &only, DialContext: (&net.Dialer{}).DialContext}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(r)
	if err != nil {
		if ctx.Err() != nil {
			return false, fmt.Sprintf("timeout: failed to connect service %q within %s", addr, dialTimeout)
		}
		return false, fmt.Sprintf("service unreachable: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxOutput))
	if err != nil {
		return false, fmt.Sprintf("health rpc failed: %v", err)
	}
	return answer(res, body)
}

// answer reads status and message of a unary answer.
func answer(res *http.Response, body []byte) (bool, string) {
	get := func(k string) string {
		if v := res.Trailer.Get(k); v != "" {
			return v
		}
		return res.Header.Get(k)
	}
	if code := get("Grpc-Status"); code != "0" {
		if code == "12" {
			return false, `this server does not implement the grpc health protocol (grpc.health.v1.Health)`
		}
		return false, fmt.Sprintf("health rpc failed: code %s: %s", code, get("Grpc-Message"))
	}
	if len(body) < 5 || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:5])) > len(body)-5 {
		return false, "health rpc failed: malformed answer"
	}
	status := uint64(0)
	for b := body[5 : 5+binary.BigEndian.Uint32(body[1:5])]; len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false, "health rpc failed: malformed answer"
		}
		b = b[n:]
		if num == 1 && typ == protowire.VarintType {
			if status, n = protowire.ConsumeVarint(b); n < 0 {
				return false, "health rpc failed: malformed answer"
			}
		} else if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return false, "health rpc failed: malformed answer"
		}
		b = b[n:]
	}
	if status == 1 {
		return true, ""
	}
	return false, fmt.Sprintf("service unhealthy (responded with %q)", [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}[min(status, 3)])
}
