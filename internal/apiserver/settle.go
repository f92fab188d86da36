package apiserver

import (
	"reflect"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
)

// settle cuts times to what their encodings keep: seconds of a Time, microseconds of a MicroTime. Parts of this process
// write objects that were never encoded; without this, an object would differ from itself read back.
func (s *Server) settle(w *writing) error {
	s.times.cut(w.Object)
	return nil
}

// times knows which types hold times, so that the rest of an object is not walked.
type times struct{ holds sync.Map } // reflect.Type → bool

var (
	timeType  = reflect.TypeFor[metav1.Time]()
	microType = reflect.TypeFor[metav1.MicroTime]()
)

func (t *times) cut(obj api.Object) {
	if v := reflect.ValueOf(obj); v.Kind() == reflect.Pointer && !v.IsNil() {
		t.walk(v.Elem())
	}
}

func (t *times) walk(v reflect.Value) {
	if !t.in(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		switch v.Type() {
		case timeType:
			p := v.Addr().Interface().(*metav1.Time)
			if p.Nanosecond() != 0 { // what was read before may be shared: it needs no cutting, and must not be written to
				p.Time = p.Truncate(time.Second)
			}
			return
		case microType:
			p := v.Addr().Interface().(*metav1.MicroTime)
			if p.Nanosecond()%1000 != 0 {
				p.Time = p.Truncate(time.Microsecond)
			}
			return
		}
		for i := range v.NumField() {
			t.walk(v.Field(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			t.walk(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			t.walk(v.Index(i))
		}
	}
}

// in tells whether walking a value of type can meet a time.
func (t *times) in(typ reflect.Type) bool {
	known, ok := t.holds.Load(typ)
	if !ok {
		known = holdsTime(typ, map[reflect.Type]bool{})
		t.holds.Store(typ, known)
	}
	return known.(bool)
}

// holdsTime: maps and interfaces hold none in any kind; seen ends recursive types.
func holdsTime(typ reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[typ] {
		return false
	}
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		return holdsTime(typ.Elem(), seen)
	case reflect.Struct:
		if typ == timeType || typ == microType {
			return true
		}
		seen[typ] = true
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() && holdsTime(f.Type, seen) {
				return true
			}
		}
	}
	return false
}
