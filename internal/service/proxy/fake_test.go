package proxy

// fakeCache is a cache filled by hand.
type fakeCache[T any] struct {
	items  map[string]T
	listen []func(old, new T)
	index  map[string]func(T) []string
	by     map[string]map[string]T // index value → items, kept for one index at most
}

func newFake[T any]() *fakeCache[T] {
	return &fakeCache[T]{items: map[string]T{}, index: map[string]func(T) []string{}, by: map[string]map[string]T{}}
}

func (c *fakeCache[T]) Subscribe(f func(old, new T)) { c.listen = append(c.listen, f) }

func (c *fakeCache[T]) Get(namespace, name string) (T, bool) {
	v, ok := c.items[namespace+"/"+name]
	return v, ok
}

func (c *fakeCache[T]) List() []T {
	var out []T
	for _, v := range c.items {
		out = append(out, v)
	}
	return out
}

func (c *fakeCache[T]) Index(name string, f func(T) []string) { c.index[name] = f }

func (c *fakeCache[T]) By(index, value string) []T {
	var out []T
	for _, v := range c.by[value] {
		out = append(out, v)
	}
	return out
}

func (c *fakeCache[T]) set(key string, v T) {
	old := c.items[key]
	c.items[key] = v
	for _, f := range c.index {
		for _, value := range f(v) {
			if c.by[value] == nil {
				c.by[value] = map[string]T{}
			}
			c.by[value][key] = v
		}
	}
	for _, f := range c.listen {
		f(old, v)
	}
}
