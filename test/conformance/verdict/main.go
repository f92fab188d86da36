// Command verdict turns the suite's report into passed.txt, failed.txt and
// subset.txt (README.md says what they hold). Reports of part of the suite
// change only the lines of the specs they ran.
//
//	verdict list REPORT          the names of all specs of a report
//	verdict keep REPORT          merge a report, print "N passed, M failed"
//	verdict check REPORT NAMES   fail if a spec named in NAMES did not pass
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"github.com/onsi/ginkgo/v2/types"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "verdict:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("arguments %q: want list, keep or check, and a report", args)
	}
	specs, err := read(args[1])
	if err != nil {
		return err
	}
	switch {
	case args[0] == "list" && len(args) == 2:
		return list(specs)
	case args[0] == "keep" && len(args) == 2:
		return keep(specs, ".")
	case args[0] == "check" && len(args) == 3:
		return check(specs, args[2])
	}
	return fmt.Errorf("arguments %q: want list, keep or check", args)
}

// read gives the specs of a report that were chosen, in no order.
func read(path string) ([]types.SpecReport, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	var reports []types.Report
	if err := json.Unmarshal(data, &reports); err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	var specs []types.SpecReport
	for _, report := range reports {
		for _, spec := range report.SpecReports {
			if spec.LeafNodeType == types.NodeTypeIt && !notChosen(spec) {
				specs = append(specs, spec)
			}
		}
	}
	return specs, nil
}

// notChosen tells a spec the focus left out from one that skipped itself.
func notChosen(spec types.SpecReport) bool {
	return spec.State.Is(types.SpecStateSkipped|types.SpecStatePending) && spec.Failure.Message == ""
}

func list(specs []types.SpecReport) error {
	var names []string
	for _, spec := range specs {
		names = append(names, spec.FullText())
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name)
	}
	return nil
}

// check prints the specs that must pass and did not, and those that did only when tried again.
func check(specs []types.SpecReport, path string) error {
	names, err := lines(path)
	if err != nil {
		return err
	}
	states := map[string]types.SpecReport{}
	for _, spec := range specs {
		states[spec.FullText()] = spec
	}
	missing := 0
	for _, name := range names {
		switch spec, ran := states[name]; {
		case !ran:
			fmt.Printf("did not run: %s\n", name)
			missing++
		case spec.State != types.SpecStatePassed:
			fmt.Printf("%s: %s: %s\n", spec.State, name, reason(spec))
			missing++
		case spec.NumAttempts > 1:
			fmt.Printf("passed at attempt %d: %s\n", spec.NumAttempts, name)
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(names)-missing, missing)
	if missing > 0 {
		return fmt.Errorf("%d of %d specs that passed before do not now", missing, len(names))
	}
	return nil
}
