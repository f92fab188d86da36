package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

// fast is how long a spec of the subset may take.
const fast = 12 * time.Second

// keep merges what ran into the lists in dir. A list is sorted, one spec a
// line; failed.txt has a tab and the reason behind the name.
func keep(specs []types.SpecReport, dir string) error {
	lists := map[string]map[string]string{}
	for _, name := range []string{"passed.txt", "failed.txt", "subset.txt"} {
		entries, err := lines(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		lists[name] = map[string]string{}
		for _, entry := range entries {
			spec, _, _ := strings.Cut(entry, "\t")
			lists[name][spec] = entry
		}
	}
	causes, err := knownCauses(filepath.Join(dir, "causes.txt"))
	if err != nil {
		return err
	}
	passed, failed := 0, 0
	for _, spec := range specs {
		name := spec.FullText()
		if strings.Contains(spec.Failure.Message, suiteTimeout) {
			continue // it was not its fault: what was known of it stays
		}
		for _, list := range lists {
			delete(list, name)
		}
		if spec.State != types.SpecStatePassed {
			failed++
			lists["failed.txt"][name] = name + "\t" + causes.of(spec)
			continue
		}
		passed++
		lists["passed.txt"][name] = name
		if spec.RunTime <= fast && !apart.MatchString(name) {
			lists["subset.txt"][name] = name
		}
	}
	for name, list := range lists {
		if err := write(filepath.Join(dir, name), list); err != nil {
			return err
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	return nil
}

// suiteTimeout is what ginkgo says of specs that ran when the time for all was over.
const suiteTimeout = "A suite timeout occurred"

// apart are specs that need the cluster for themselves, or long.
var apart = regexp.MustCompile(`\[(Serial|Slow|Disruptive)\]`)

func write(path string, list map[string]string) error {
	var entries []string
	for _, entry := range list {
		entries = append(entries, entry+"\n")
	}
	sort.Strings(entries)
	if err := os.WriteFile(path, []byte(strings.Join(entries, "")), 0o644); err != nil {
		return fmt.Errorf("write list: %w", err)
	}
	return nil
}

func lines(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), nil
}

// causes are failures somebody has looked into.
type causes []cause

type cause struct {
	spec *regexp.Regexp
	text string
}

// knownCauses reads lines of a pattern, a tab and a text; lines that start
// with # say something to the reader.
func knownCauses(path string) (causes, error) {
	entries, err := lines(path)
	if err != nil {
		return nil, err
	}
	var known causes
	for _, entry := range entries {
		if strings.HasPrefix(entry, "#") {
			continue
		}
		pattern, text, found := strings.Cut(entry, "\t")
		spec, err := regexp.Compile(pattern)
		if err != nil || !found {
			return nil, fmt.Errorf("%s: line %q: want a pattern, a tab and a text", path, entry)
		}
		known = append(known, cause{spec, text})
	}
	return known, nil
}

func (c causes) of(spec types.SpecReport) string {
	for _, known := range c {
		if known.spec.MatchString(spec.FullText()) {
			return known.text
		}
	}
	return reason(spec)
}

// reason is the failure in one line of bounded length.
func reason(spec types.SpecReport) string {
	text := strings.Join(strings.Fields(spec.Failure.Message), " ")
	if text == "" {
		text = spec.State.String()
	}
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
