package policy

import (
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/admission/evaluate"
)

// bodies are the kinds of subresources' bodies (Scale, Binding, Eviction), as far as a merge has to know them.
type bodies struct {
	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]*api.Kind
}

// schema is the kind of an input's object; nil when it is none that can be merged into (the options of a connection).
func (b *bodies) schema(in *evaluate.Input) (*api.Kind, api.Object) {
	live, ok := in.Object.(api.Object)
	if !ok {
		return nil, nil
	}
	if !in.Target.Body() {
		return in.Write.Kind, live
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.kinds[in.As.Kind]
	if k == nil {
		t := reflect.TypeOf(live).Elem()
		k = &api.Kind{Kind: in.As.Kind.Kind, Versions: []api.Version{{Group: in.As.Kind.Group, Version: in.As.Kind.Version,
			New: func() api.Object { return reflect.New(t).Interface().(api.Object) }}}}
		if b.kinds == nil {
			b.kinds = map[schema.GroupVersionKind]*api.Kind{}
		}
		b.kinds[in.As.Kind] = k
	}
	return k, live
}
