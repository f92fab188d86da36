package dns

// fakeCache is a cache filled by hand.
type fakeCache[T any] struct {
	items  map[string]T
	listen []func(old, new T)
	index  func(T) []string
}

func newFake[T any]() *fakeCache[T] { return &fakeCache[T]{items: map[string]T{}} }

func (c *fakeCache[T]) Subscribe(f func(old, new T)) { c.listen = append(c.listen, f) }

func (c *fakeCache[T]) Get(namespace, name string) (T, bool) {
	v, ok := c.items[namespace+"/"+name]
	return v, ok
}

func (c *fakeCache[T]) Index(_ string, f func(T) []string) { c.index = f }

func (c *fakeCache[T]) By(_, value string) []T {
	var out []T
	for _, v := range c.items {
		for _, x := range c.index(v) {
			if x == value {
				out = append(out, v)
			}
		}
	}
	return out
}

func (c *fakeCache[T]) set(key string, v T) {
	old := c.items[key]
	c.items[key] = v
	for _, f := range c.listen {
		f(old, v)
	}
}

func (c *fakeCache[T]) remove(key string) {
	old := c.items[key]
	delete(c.items, key)
	var zero T
	for _, f := range c.listen {
		f(old, zero)
	}
}
