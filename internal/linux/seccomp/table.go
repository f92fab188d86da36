package seccomp

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed numbers.txt
var numbersText string

//go:embed default.txt
var defaultText string

// numbers maps a name to its numbers by column; -1 where there is none.
type numbers map[string][3]int

// table is read when it is first needed.
var table = sync.OnceValue(func() numbers {
	n := numbers{}
	for line := range strings.Lines(numbersText) {
		f := strings.Fields(line)
		if len(f) != 4 || f[0] == "#" {
			continue
		}
		row := [3]int{-1, -1, -1}
		for i, s := range f[1:] {
			if v, err := strconv.Atoi(s); err == nil {
				row[i] = v
			}
		}
		n[f[0]] = row
	}
	return n
})

// number of a call on an architecture, -1 if it has none.
func (n numbers) number(name string, column int) int {
	row, ok := n[name]
	if !ok {
		return -1
	}
	return row[column]
}

func words(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			out = append(out, strings.Fields(line)...)
		}
	}
	return out
}
