package cli

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/socket"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// report is what status knows.
type report struct {
	Cluster    string          `json:"cluster"`
	Running    bool            `json:"running"`
	Daemon     *config.Running `json:"daemon,omitempty"`
	RSS        int64           `json:"rssBytes,omitempty"`
	Anonymous  int64           `json:"anonymousBytes,omitempty"`
	CPU        time.Duration   `json:"cpuNanoseconds,omitempty"`
	Disk       int64           `json:"imageBytes,omitempty"`
	Sandboxes  int             `json:"sandboxes"`
	Containers map[string]int  `json:"containers"`
	Problems   []string        `json:"problems"`
}

func (a *app) status() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what runs, where, since when, what it costs and what is wrong",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if os.Geteuid() != 0 {
				return needRoot(cmd)
			}
			c, err := a.config()
			if err != nil {
				return err
			}
			r := look(cmd.Context(), c)
			if output == "json" {
				if err := printJSON(a.out, r); err != nil {
					return err
				}
			} else {
				a.showReport(r)
			}
			if !r.Running {
				return &exitError{code: codes[fault.Unavailable]}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json, or text when left out")
	return cmd
}

// look collects the report; what cannot be found out is a problem in it.
func look(ctx context.Context, c config.Config) report {
	r := report{Cluster: c.Name, Containers: map[string]int{}, Problems: []string{}}
	daemon, err := c.Places().ReadRunning()
	if err == nil && c.Places().Held() {
		r.Running, r.Daemon = true, &daemon
		r.RSS, r.Anonymous, r.CPU = usage(daemon.PID)
	} else if err == nil && daemon.Failed != "" {
		r.Problems = append(r.Problems, fmt.Sprintf("the daemon ended: %s: 'dhow up -d' takes its containers over, 'dhow down' stops them; its log is dhow.log in %s", daemon.Failed, c.DataDir))
	} else if err == nil {
		r.Problems = append(r.Problems, fmt.Sprintf("the daemon (pid %d) ended without cleaning up: 'dhow up -d' takes its containers over, 'dhow down' stops them", daemon.PID))
	}
	if err := c.Places().CheckRoom(); fault.Is(err, fault.Exhausted) {
		r.Problems = append(r.Problems, err.Error())
	}
	if !r.Running {
		return r
	}
	e := socket.New(c.Places().Socket())
	defer e.Close()
	r.engine(ctx, e)
	return r
}

func (r *report) engine(ctx context.Context, e socket.Backend) {
	info, err := e.Info(ctx)
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
		return
	}
	for what, reason := range map[string]string{"engine": info.NotReady, "network": info.NetworkNotReady} {
		if reason != "" {
			r.Problems = append(r.Problems, what+": "+reason)
		}
	}
	r.Problems = append(r.Problems, info.Warnings...)
	if images, err := e.ImageUsage(ctx); err == nil {
		r.Disk = int64(images.Bytes)
	}
	sandboxes, err := e.ListSandboxes(ctx, engine.Filter{})
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	for _, s := range sandboxes {
		if s.State == engine.SandboxReady {
			r.Sandboxes++
		}
	}
	containers, err := e.ListContainers(ctx, engine.Filter{})
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	for _, c := range containers {
		r.Containers[c.State]++
	}
}

func (a *app) showReport(r report) {
	w := a.out
	if !r.Running {
		fmt.Fprintf(w, "Cluster %s is %s. Start it with: sudo dhow up -d\n", bold(w, r.Cluster), red(w, "not running"))
	} else {
		d := r.Daemon
		fmt.Fprintf(w, "Cluster %s is %s since %s (%s)\n", bold(w, r.Cluster), green(w, "running"), d.Started.Format(time.DateTime), ago(d.Started))
		fmt.Fprintf(w, "  API         %s  (kubectl context %q)\n", d.URL, d.Context)
		fmt.Fprintf(w, "  Node        %s, dhow %s, pid %d\n", d.Node, d.Version, d.PID)
		fmt.Fprintf(w, "  Data        %s, images %s\n", d.Data, size(r.Disk))
		fmt.Fprintf(w, "  Memory      %s resident, %s of it anonymous\n", size(r.RSS), size(r.Anonymous))
		fmt.Fprintf(w, "  CPU         %s, %.2f %% of a core on average\n", millis(r.CPU), average(r.CPU, d.Started))
		fmt.Fprintf(w, "  Pods        %d; containers: %s\n", r.Sandboxes, counts(r.Containers))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "  %s %s\n", red(w, "!"), p)
	}
}

func average(cpu time.Duration, since time.Time) float64 {
	if wall := time.Since(since); wall > 0 {
		return 100 * float64(cpu) / float64(wall)
	}
	return 0
}

func counts(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	parts := make([]string, 0, len(m))
	for state, n := range m {
		parts = append(parts, fmt.Sprintf("%d %s", n, state))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// usage reads what a process costs (proc_pid_status(5), proc_pid_stat(5)).
func usage(pid int) (rss, anonymous int64, cpu time.Duration) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, 0
	}
	for _, l := range strings.Split(string(status), "\n") {
		var kb int64
		if _, err := fmt.Sscanf(l, "VmRSS: %d kB", &kb); err == nil {
			rss = kb << 10
		}
		if _, err := fmt.Sscanf(l, "RssAnon: %d kB", &kb); err == nil {
			anonymous = kb << 10
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return rss, anonymous, 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) > 12 {
		var user, system int64
		fmt.Sscan(fields[11], &user)
		fmt.Sscan(fields[12], &system)
		cpu = time.Duration(user+system) * (time.Second / 100) // USER_HZ is 100 on every Linux we run on
	}
	return rss, anonymous, cpu
}
