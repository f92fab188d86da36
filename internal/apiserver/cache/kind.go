package cache

import (
	"strings"
	"time"

	"github.com/tidwall/btree"

	"github.com/dhow-project/dhow/internal/api"
)

// Tree is a snapshot of one kind's entries in key order. It must not be changed.
type Tree = btree.BTreeG[*Entry]

// EventType of a change.
type EventType uint8

// The types.
const (
	Added EventType = iota
	Modified
	Deleted
)

// Event is one committed change. Entry is the state after it; for Deleted the state before it with the
// deletion's revision. Old is nil for Added.
type Event struct {
	Type       EventType
	Entry, Old *Entry
}

// ringMax bounds a kind's history; ringKeep is what is left of it when it is cut. Of
// what is older than ringAge only the last ringOld stay.
const (
	ringMax  = 8192
	ringKeep = 4096
	ringOld  = 128
	ringAge  = 2 * time.Minute
)

// kindCache is guarded by Cache.mu.
type kindCache struct {
	kind    *api.Kind
	prefix  string // of store keys, with trailing slash
	tree    *Tree
	snap    *Tree    // copy of tree since its last change, nil when there is none
	ring    []*Event // history, oldest first
	floor   int64    // revisions ≤ floor are not in ring
	cursors map[*Cursor]struct{}
	hooks   []func(old, obj api.Object)
}

func newTree() *Tree {
	return btree.NewBTreeGOptions(func(a, b *Entry) bool { return a.Key < b.Key }, btree.Options{NoLocks: true})
}

// apply changes the tree and history. obj is nil for a deletion.
func (k *kindCache) apply(key string, obj api.Object, revision int64) *Event {
	var ev *Event
	if obj == nil {
		old, ok := k.tree.Delete(&Entry{Key: key})
		if !ok {
			return nil
		}
		old.release()
		ev = &Event{Deleted, old.At(revision), old}
	} else {
		ev = &Event{Entry: NewEntry(k.kind, key, obj, revision)}
		if old, replaced := k.tree.Set(ev.Entry); replaced {
			old.release()
			ev.Type, ev.Old = Modified, old
		}
	}
	k.snap = nil
	if len(k.ring) == ringMax {
		k.cut(ringMax - ringKeep)
	}
	k.ring = append(k.ring, ev)
	return ev
}

// cut forgets the n oldest events.
func (k *kindCache) cut(n int) {
	k.floor = k.ring[n-1].Entry.Revision
	k.ring = append(make([]*Event, 0, len(k.ring)-n+64), k.ring[n:]...)
}

// trim forgets events up to revision, but for the last few. It reports whether more are left than those.
func (k *kindCache) trim(revision int64) bool {
	if n := min(k.after(revision), len(k.ring)-ringOld); n > 0 {
		k.cut(n)
	}
	return len(k.ring) > ringOld
}

// after is the index in ring of the first event with a revision greater than rev.
func (k *kindCache) after(rev int64) int {
	lo, hi := 0, len(k.ring)
	for lo < hi {
		mid := (lo + hi) / 2
		if k.ring[mid].Entry.Revision <= rev {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// at rebuilds the tree as it was at rev, which must not be below floor, by undoing what came after.
func (k *kindCache) at(rev int64) *Tree {
	t := k.tree.Copy()
	for i, first := len(k.ring)-1, k.after(rev); i >= first; i-- {
		if ev := k.ring[i]; ev.Old != nil {
			t.Set(ev.Old)
		} else {
			t.Delete(ev.Entry)
		}
	}
	return t
}

// ObjectKey is the key of an entry.
func ObjectKey(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// Range calls f for the entries of a namespace (all when empty) after the key after, in order, until f returns false.
func Range(t *Tree, namespace, after string, f func(*Entry) bool) {
	prefix := ""
	if namespace != "" {
		prefix = namespace + "/"
	}
	t.Ascend(&Entry{Key: max(prefix, after)}, func(e *Entry) bool {
		if e.Key == after {
			return true
		}
		return strings.HasPrefix(e.Key, prefix) && f(e)
	})
}
