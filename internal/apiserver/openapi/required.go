package openapi

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

//go:embed required.txt
var requiredText string

// exceptions are the lines of required.txt by definition.
var exceptions = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(requiredText) {
		if words := strings.Fields(line); len(words) > 1 && words[0] != "#" {
			out[words[0]] = words[1:]
		}
	}
	return out
})

// required corrects the list of required fields of a definition, sorted.
func required(definition string, fields []string) []string {
	for _, e := range exceptions()[definition] {
		if e[0] == '+' {
			fields = append(fields, e[1:])
		} else {
			fields = slices.DeleteFunc(fields, func(f string) bool { return f == e[1:] })
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}
