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
	at         time.Duration // Cache.age when it was published
}

// A kind's history is halved when it has ringMax events, or ringBytes as they are stored. Of what is older than
// ringAge only the last ringOld stay, or those in ringOldBytes. (Upstream's keeps the events of 75 s.)
const (
	ringMax      = 8192
	ringBytes    = 16 << 20
	ringOld      = 128
	ringOldBytes = 512 << 10
	ringAge      = 2 * time.Minute
)

// kindCache is guarded by Cache.mu.
type kindCache struct {
	kind    *api.Kind
	prefix  string // of store keys, with trailing slash
	tree    *Tree
	snap    *Tree    // copy of tree since its last change, nil when there is none
	ring    []*Event // history, oldest first
	bytes   int      // of the ring's entries, as they are stored
	floor   int64    // revisions ≤ floor are not in ring
	cursors map[*Cursor]struct{}
	hooks   []func(old, obj api.Object)
	since   int64 // what the store had at this revision was read at once: older events say nothing new
}

func newKindCache(k *api.Kind) *kindCache {
	return &kindCache{kind: k, prefix: Prefix(k), tree: newTree(), cursors: map[*Cursor]struct{}{}}
}

func newTree() *Tree {
	return btree.NewBTreeGOptions(func(a, b *Entry) bool { return a.Key < b.Key }, btree.Options{NoLocks: true})
}

// apply changes the tree and history. obj is nil for a deletion, and size that of what is stored.
func (k *kindCache) apply(key string, obj api.Object, size int, revision int64, now time.Duration) *Event {
	var ev *Event
	if obj == nil {
		old, ok := k.tree.Delete(&Entry{Key: key})
		if !ok {
			return nil
		}
		old.release()
		ev = &Event{Type: Deleted, Entry: old.At(revision), Old: old}
		ev.Entry.size = old.size
	} else {
		ev = &Event{Entry: NewEntry(k.kind, key, obj, revision)}
		ev.Entry.size = size
		if old, replaced := k.tree.Set(ev.Entry); replaced {
			old.release()
			ev.Type, ev.Old = Modified, old
		}
	}
	ev.at = now
	k.snap = nil
	if len(k.ring) >= ringMax || k.bytes > ringBytes && len(k.ring) > ringOld {
		k.cut(len(k.ring) / 2)
	}
	k.ring = append(k.ring, ev)
	k.bytes += ev.Entry.size
	return ev
}

// cut forgets the n oldest events.
func (k *kindCache) cut(n int) {
	if n <= 0 {
		return
	}
	k.forward(k.ring[:n])
	for _, ev := range k.ring[:n] {
		k.bytes -= ev.Entry.size
	}
	k.floor = k.ring[n-1].Entry.Revision
	k.ring = append(make([]*Event, 0, len(k.ring)-n+64), k.ring[n:]...)
}

// forward moves cursors past what will be forgotten when nothing of it is in their namespace: they were not woken for it.
func (k *kindCache) forward(gone []*Event) {
	last := map[string]int64{}
	for _, ev := range gone {
		last[ev.Entry.Obj.GetNamespace()] = ev.Entry.Revision
	}
	for cur := range k.cursors {
		if cur.namespace != "" && cur.after >= last[cur.namespace] {
			cur.after = max(cur.after, gone[len(gone)-1].Entry.Revision)
		}
	}
}

// trim forgets events of a time before since, but for the last few.
func (k *kindCache) trim(since time.Duration) {
	n, bytes := 0, k.bytes
	for n < len(k.ring) && k.ring[n].at < since && (len(k.ring)-n > ringOld || bytes > ringOldBytes) {
		bytes -= k.ring[n].Entry.size
		n++
	}
	k.cut(n)
}

// excess is whether more is remembered than will be kept when it is old.
func (k *kindCache) excess() bool { return len(k.ring) > ringOld || k.bytes > ringOldBytes }

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
