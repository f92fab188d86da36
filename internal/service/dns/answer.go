package dns

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// ttl of our own records in seconds: short, for Services come and go and asking again costs microseconds.
const ttl = 5

// ednsSize is the largest UDP answer we send, so that nothing is fragmented on the way (DNS flag day 2020).
const ednsSize = 1232

// ServeDNS answers one query. It is called concurrently.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	ctx, cancel := context.WithTimeout(context.Background(), forwardTimeout)
	defer cancel()
	reply := s.answer(ctx, q, tcp)
	finish(reply, q, tcp)
	if err := w.WriteMsg(reply); err != nil {
		s.cfg.Log.Debug("dns answer not sent", "err", err)
	}
}

// answer decides what to reply.
func (s *Server) answer(ctx context.Context, q *dns.Msg, tcp bool) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(q)
	r.RecursionAvailable = true
	if q.Opcode != dns.OpcodeQuery {
		return refuse(r, dns.RcodeNotImplemented)
	}
	if len(q.Question) != 1 {
		return refuse(r, dns.RcodeFormatError)
	}
	if o := q.IsEdns0(); o != nil && o.Version() != 0 {
		return refuse(r, dns.RcodeBadVers)
	}
	question := q.Question[0]
	if question.Qclass != dns.ClassINET || question.Qtype == dns.TypeAXFR || question.Qtype == dns.TypeIXFR {
		return refuse(r, dns.RcodeRefused)
	}
	name := dns.CanonicalName(question.Name)
	if within(name, s.cfg.Zone) {
		s.ours(ctx, r, name, question)
		return r
	}
	if question.Qtype == dns.TypePTR {
		if found, ok := s.zone.find(name); ok && len(found) > 0 {
			r.Authoritative = true
			r.Answer = resources(question.Name, found, dns.TypePTR)
			return r
		}
	}
	return s.forward.ask(ctx, q, tcp)
}

func refuse(r *dns.Msg, code int) *dns.Msg {
	r.Rcode = code
	return r
}

// ours answers for a name in the zone: the records, or NODATA, or NXDOMAIN, both with the SOA that says how long to believe it.
func (s *Server) ours(ctx context.Context, r *dns.Msg, name string, q dns.Question) {
	r.Authoritative = true
	found, exists := s.zone.find(name)
	if a, ok := podAddress(name, s.cfg.Zone); ok && !exists {
		found, exists = []owned{{record: addressRecord(name, a)}}, true
	}
	if !exists {
		exists = podNamespace(name, s.cfg.Zone)
	}
	r.Answer = resources(q.Name, found, q.Qtype)
	if len(r.Answer) == 0 {
		s.alias(ctx, r, q, found)
	}
	if name == s.cfg.Zone && q.Qtype == dns.TypeSOA {
		r.Answer = []dns.RR{s.soa()}
	}
	s.glue(r, q.Qtype)
	if len(r.Answer) == 0 {
		r.Ns = []dns.RR{s.soa()}
	}
	if !exists {
		r.Rcode = dns.RcodeNameError
	}
}

// podNamespace tells whether name is "namespace.pod.zone": any namespace may have pods.
func podNamespace(name, zone string) bool {
	rest, ok := strings.CutSuffix(name, ".pod."+zone)
	return ok && rest != "" && !strings.Contains(rest, ".")
}

// alias adds a CNAME and what it leads to: stub resolvers do not follow one by themselves.
func (s *Server) alias(ctx context.Context, r *dns.Msg, q dns.Question, found []owned) {
	r.Answer = resources(q.Name, found, dns.TypeCNAME)
	if len(r.Answer) == 0 || q.Qtype != dns.TypeA && q.Qtype != dns.TypeAAAA {
		return
	}
	target := r.Answer[0].(*dns.CNAME).Target
	if within(target, s.cfg.Zone) {
		next, _ := s.zone.find(target)
		r.Answer = append(r.Answer, resources(target, next, q.Qtype)...)
		return
	}
	r.Authoritative = false
	ask := new(dns.Msg)
	ask.SetQuestion(target, q.Qtype)
	more := s.forward.ask(ctx, ask, true)
	if more.Rcode == dns.RcodeServerFailure {
		r.Rcode = more.Rcode
		r.Answer = nil
		return
	}
	r.Answer = append(r.Answer, more.Answer...)
}

// glue adds the addresses that SRV records lead to.
func (s *Server) glue(r *dns.Msg, kind uint16) {
	if kind != dns.TypeSRV {
		return
	}
	seen := map[string]bool{}
	for _, rr := range r.Answer {
		if srv, ok := rr.(*dns.SRV); ok && !seen[srv.Target] {
			seen[srv.Target] = true
			found, _ := s.zone.find(srv.Target)
			r.Extra = append(r.Extra, resources(srv.Target, found, dns.TypeA)...)
			r.Extra = append(r.Extra, resources(srv.Target, found, dns.TypeAAAA)...)
		}
	}
}

func (s *Server) soa() dns.RR {
	return &dns.SOA{Hdr: header(s.cfg.Zone, dns.TypeSOA), Ns: "ns.dns." + s.cfg.Zone, Mbox: "hostmaster." + s.cfg.Zone,
		Serial: s.zone.currentSerial(), Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl}
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

// resources are the records of a kind as they go over the wire, in a new order each time: clients take the first.
func resources(name string, found []owned, kind uint16) []dns.RR {
	var out []dns.RR
	for _, f := range found {
		if f.kind != kind {
			continue
		}
		h := header(name, kind)
		switch kind {
		case dns.TypeA:
			out = append(out, &dns.A{Hdr: h, A: f.addr.AsSlice()})
		case dns.TypeAAAA:
			out = append(out, &dns.AAAA{Hdr: h, AAAA: f.addr.AsSlice()})
		case dns.TypeSRV:
			out = append(out, &dns.SRV{Hdr: h, Weight: 100, Port: f.port, Target: f.target})
		case dns.TypePTR:
			out = append(out, &dns.PTR{Hdr: h, Ptr: f.target})
		case dns.TypeCNAME:
			out = append(out, &dns.CNAME{Hdr: h, Target: f.target})
		case dns.TypeNS:
			out = append(out, &dns.NS{Hdr: h, Ns: f.target})
		case dns.TypeTXT:
			out = append(out, &dns.TXT{Hdr: h, Txt: []string{f.target}})
		}
	}
	if len(out) > 1 {
		rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

// finish makes the reply fit: EDNS answered with EDNS (RFC 6891), and not larger than the asker takes.
func finish(r, q *dns.Msg, tcp bool) {
	size := dns.MinMsgSize
	r.Extra = withoutOPT(r.Extra)
	if o := q.IsEdns0(); o != nil {
		size = min(max(int(o.UDPSize()), dns.MinMsgSize), ednsSize)
		r.SetEdns0(ednsSize, o.Do())
	}
	if tcp {
		size = dns.MaxMsgSize
	}
	r.Compress = true
	r.Truncate(size)
}

func withoutOPT(in []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range in {
		if rr.Header().Rrtype != dns.TypeOPT {
			out = append(out, rr)
		}
	}
	return out
}
