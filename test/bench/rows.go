package main

import "regexp"

// row is one promise.
type row struct {
	What     string `json:"what"`
	Now      string `json:"now"`  // what is wanted at this stage; "" where nothing is promised yet
	Goal     string `json:"goal"` // in the end
	Measured string `json:"measured"`
	Peer     string `json:"peer,omitempty"`
}

// group is what is measured together. measure sets the values of its rows by their names.
type group struct {
	name    string
	measure func(*bench) error
	rows    []*row
}

// groups are all, in the order of the table. The first ones want a machine and a daemon that have done nothing else.
func groups() []group {
	return []group{
		{"start", measureStart, []*row{
			{What: "up on an empty directory → Ready, p50", Now: "≤ 400 ms", Goal: "≤ 250 ms"},
		}},
		{"size", measureSize, []*row{
			{What: "binary", Now: "≤ 80 MB", Goal: "≤ 64 MB"},
		}},
		{"idle", measureIdle, []*row{
			{What: "idle memory, resident", Now: "≤ 70 MB", Goal: "≤ 50 MB"},
			{What: "idle memory, anonymous", Goal: "≤ 25 MB"},
			{What: "idle CPU of one core", Now: "≤ 0.3 %", Goal: "≤ 0.2 %"},
			{What: "idle durable writes", Goal: "≤ 0.5 /s"},
		}},
		{"pods", measurePods, []*row{
			{What: "pod create → Running at a watcher, p50", Now: "≤ 40 ms", Goal: "≤ 15 ms"},
			{What: "pod create → Running at a watcher, p99", Goal: "≤ 60 ms"},
			{What: "110 pods at once, all Running", Now: "≤ 5 s", Goal: "≤ 2 s"},
			{What: "processes a pod costs beyond its own", Now: "0", Goal: "0"},
		}},
		{"exec", measureExec, []*row{
			{What: "exec in a pod through the API, p50", Goal: "≤ 3 ms"},
			{What: "exec through the engine's socket, p50", Goal: "≤ 3 ms"},
			{What: "run a plain container to its end, p50"},
		}},
		{"build", measureBuild, []*row{
			{What: "build, everything cached, p50", Goal: "≤ 50 ms"},
			{What: "build, each RUN step", Goal: "≤ 15 ms"},
		}},
		{"requests", measureRequests, []*row{
			{What: "create, one client, p50", Goal: "≤ 0.6 ms"},
			{What: "creates, 64 clients", Now: "≥ 3,000 /s", Goal: "≥ 4,000 /s"},
			{What: "server CPU of a create, 64 clients", Goal: "≤ 0.25 ms"},
			{What: "gets, 64 clients"},
			{What: "server CPU of a get, 64 clients", Goal: "≤ 0.07 ms"},
			{What: "server-side applies, 64 clients"},
			{What: "server CPU of an apply, 64 clients", Goal: "≤ 0.5 ms"},
		}},
		{"watch", measureWatch, []*row{
			{What: "1,000 watchers, one event, time to the last", Goal: "≤ 20 ms"},
		}},
		{"list", measureList, []*row{
			{What: "list of 5,000, p50", Now: "≤ 30 ms", Goal: "≤ 20 ms"},
			{What: "list of 5,000, size"},
			{What: "list of 5,000, server CPU", Goal: "≤ 10 ms"},
		}},
		{"growth", measureGrowth, []*row{
			{What: "memory after many objects came and went", Goal: "≤ 120 % of idle"},
			{What: "store file after many objects came and went", Goal: "≤ 2 × live data + 64 MB"},
		}},
		{"restart", measureRestart, []*row{
			{What: "warm restart, 10,000 objects, pods running", Goal: "≤ 200 ms"},
		}},
		{"packages", measurePackages, []*row{
			{What: "scheduler decisions, 1,000 nodes", Goal: "≥ 10,000 /s"},
			{What: "one Service changed of 10,000", Goal: "≤ 2 ms"},
		}},
	}
}

func (g group) matching(p *regexp.Regexp) []*row {
	var out []*row
	for _, r := range g.rows {
		if p.MatchString(g.name) || p.MatchString(r.What) {
			out = append(out, r)
		}
	}
	return out
}
