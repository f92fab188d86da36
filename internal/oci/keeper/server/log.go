package server

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"
)

// maxLine is the longest line that is written whole; longer ones become parts.
const maxLine = 16 << 10

// logFile is a container's log in CRI format:
//
//	2016-10-06T00:17:09.669794202Z stdout P a part of a line
//	2016-10-06T00:17:09.669794203Z stdout F the rest of it
type logFile struct {
	mu   sync.Mutex
	path string
	f    *os.File
	buf  []byte
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	if path == "" {
		return l, nil
	}
	return l, l.reopen()
}

// reopen starts over with the file of that name, after it was renamed.
func (l *logFile) reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	return nil
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

// stream cuts one stream into lines. Its rest is what came after the last newline.
type stream struct {
	log  *logFile
	name string
	rest []byte
}

// write logs all whole lines of b with one write.
func (s *stream) write(b []byte) error {
	if s.log.path == "" {
		return nil
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	out := s.log.buf[:0]
	now := time.Now().UTC()
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		n := i
		if i < 0 {
			n = len(b)
		}
		if room := maxLine - len(s.rest); n > room {
			out = s.line(out, now, 'P', b[:room])
			b = b[room:]
			continue
		}
		if i < 0 {
			s.rest = append(s.rest, b...)
			break
		}
		out = s.line(out, now, 'F', b[:n])
		b = b[n+1:]
	}
	return s.log.flush(out)
}

// end logs what is left without a newline.
func (s *stream) end() error {
	if s.log.path == "" || len(s.rest) == 0 {
		return nil
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.flush(s.line(s.log.buf[:0], time.Now().UTC(), 'P', nil))
}

func (s *stream) line(out []byte, now time.Time, tag byte, b []byte) []byte {
	out = now.AppendFormat(out, time.RFC3339Nano)
	out = append(out, ' ')
	out = append(out, s.name...)
	out = append(out, ' ', tag, ' ')
	out = append(out, s.rest...)
	out = append(out, b...)
	s.rest = s.rest[:0]
	return append(out, '\n')
}

func (l *logFile) flush(out []byte) error {
	if cap(out) <= 64<<10 {
		l.buf = out[:0]
	}
	if len(out) == 0 || l.f == nil {
		return nil
	}
	if _, err := l.f.Write(out); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}
