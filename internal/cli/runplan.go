package cli

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// runOptions are the flags of run, as typed.
type runOptions struct {
	rm, interactive, tty, detach, privileged, readOnly, quiet  bool
	name, hostname, workdir, user, entrypoint, network         string
	memory, cpus, pull, pid                                    string
	volumes, publish, env, envFiles, labels, addCaps, dropCaps []string
	tmpfs, dns, devices, security                              []string
	pidsLimit                                                  int64
	entrypointSet                                              bool
}

func (o *runOptions) register(f *pflag.FlagSet) {
	f.SetInterspersed(false)
	f.BoolVar(&o.rm, "rm", false, "remove the container when it ends")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "keep standard input open")
	f.BoolVarP(&o.tty, "tty", "t", false, "give it a terminal")
	f.BoolVarP(&o.detach, "detach", "d", false, "run in the background and print the ID")
	f.StringArrayVarP(&o.volumes, "volume", "v", nil, "SOURCE:TARGET[:ro], SOURCE a directory or a volume's name")
	f.StringArrayVarP(&o.publish, "publish", "p", nil, "[[IP:]HOSTPORT:]PORT[/udp]")
	f.StringArrayVarP(&o.env, "env", "e", nil, "NAME=VALUE, or NAME for the environment's")
	f.StringArrayVar(&o.envFiles, "env-file", nil, "file with NAME=VALUE lines")
	f.StringVarP(&o.workdir, "workdir", "w", "", "working directory")
	f.StringVarP(&o.user, "user", "u", "", "USER[:GROUP]")
	f.StringVarP(&o.memory, "memory", "m", "", "memory limit, such as 512m")
	f.StringVar(&o.cpus, "cpus", "", "CPU limit, such as 1.5")
	f.Int64Var(&o.pidsLimit, "pids-limit", 0, "how many processes it may have")
	f.StringVar(&o.entrypoint, "entrypoint", "", "program to run instead of the image's")
	f.StringVar(&o.name, "name", "", "name of the container (the cluster's is taken from DHOW_NAME)")
	f.StringVarP(&o.hostname, "hostname", "h", "", "host name inside")
	f.StringVar(&o.network, "network", "", "bridge (the default), host or none")
	f.StringVar(&o.pid, "pid", "", "host: see the host's processes")
	f.StringArrayVarP(&o.labels, "label", "l", nil, "NAME=VALUE")
	f.BoolVar(&o.privileged, "privileged", false, "all capabilities and devices, no confinement")
	f.BoolVar(&o.readOnly, "read-only", false, "read-only root file system")
	f.StringArrayVar(&o.addCaps, "cap-add", nil, "capability to add")
	f.StringArrayVar(&o.dropCaps, "cap-drop", nil, "capability to drop")
	f.StringArrayVar(&o.security, "security-opt", nil, "no-new-privileges, or seccomp=unconfined")
	f.StringArrayVar(&o.tmpfs, "tmpfs", nil, "TARGET[:OPTIONS]")
	f.StringArrayVar(&o.dns, "dns", nil, "address of a name server")
	f.StringArrayVar(&o.devices, "device", nil, "HOSTPATH[:PATH[:rwm]]")
	f.StringVar(&o.pull, "pull", "missing", "missing, always or never")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no pull progress")
	f.Bool("help", false, "help for run") // -h is the host name's, as docker has it
}

// runPlan is what the flags mean to an engine.
type runPlan struct {
	image       string
	pull        string
	quiet       bool
	remove      bool
	detach      bool
	interactive bool
	makeDirs    []string
	sandbox     engine.SandboxConfig
	container   engine.ContainerConfig
}

// plan is pure but for the environment and the files it is told to look at.
func (o *runOptions) plan(image string, command []string, volumes string, env func(string) (string, bool)) (p runPlan, err error) {
	id := randomID()
	name := o.name
	if name == "" {
		name = id
	}
	p = runPlan{image: image, pull: o.pull, quiet: o.quiet, remove: o.rm, detach: o.detach, interactive: o.interactive}
	p.sandbox = engine.SandboxConfig{
		Name: name, UID: id, Group: "run", Hostname: o.hostname,
		Labels: map[string]string{"dhow.kind": "run"}, CgroupParent: "run",
		AutoRemove: o.rm && o.detach, // in the foreground, this command removes it when it has its exit code
	}
	if o.hostname == "" {
		p.sandbox.Hostname = id
	}
	p.container = engine.ContainerConfig{
		Name: name, Args: command, WorkingDir: o.workdir, TTY: o.tty, Stdin: o.interactive, StdinOnce: o.interactive,
		Security: engine.Security{
			Privileged: o.privileged, User: o.user, ReadOnlyRoot: o.readOnly,
			AddCapabilities: o.addCaps, DropCapabilities: o.dropCaps,
		},
		Resources: engine.Resources{PidsLimit: o.pidsLimit},
	}
	if o.entrypointSet {
		p.container.Command = []string{o.entrypoint}
		if o.entrypoint == "" { // docker: an empty one clears the image's
			p.container.Command, p.container.Args = command, nil
		}
	}
	for _, step := range []func(*runPlan) error{
		o.planNetwork, o.planResources, o.planSecurity, o.planDevices,
		func(p *runPlan) error { return o.planEnv(p, env) },
		func(p *runPlan) error { return o.planMounts(p, volumes) },
		func(p *runPlan) (err error) {
			p.container.Labels, err = pairs("--label", o.labels, nil)
			return err
		},
	} {
		if err := step(&p); err != nil {
			return p, err
		}
	}
	return p, nil
}

func randomID() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (o *runOptions) planNetwork(p *runPlan) error {
	switch o.network {
	case "", "bridge":
	case "host":
		p.sandbox.Network, p.sandbox.Hostname = engine.Host, ""
	case "none":
		p.sandbox.Offline = true
	default:
		return fault.New(fault.Unsupported, "--network %q: use bridge, host or none", o.network)
	}
	switch o.pid {
	case "":
	case "host":
		p.sandbox.PID = engine.Host
	default:
		return fault.New(fault.Unsupported, "--pid %q: only host is supported", o.pid)
	}
	for _, s := range o.dns {
		if _, err := netip.ParseAddr(s); err != nil {
			return fault.New(fault.Invalid, "--dns %q: use an IP address", s)
		}
	}
	p.sandbox.DNS.Servers = o.dns
	for _, s := range o.publish {
		m, err := parsePublish(s)
		if err != nil {
			return err
		}
		p.sandbox.Ports = append(p.sandbox.Ports, m...)
	}
	return nil
}

// parsePublish reads [[IP:]HOSTPORT:]PORT[/PROTOCOL]; ports may be ranges of equal length.
func parsePublish(s string) ([]engine.PortMapping, error) {
	bad := func() error { return fault.New(fault.Invalid, "-p %q: use [[IP:]HOSTPORT:]PORT[/udp]", s) }
	spec, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "tcp"
	}
	if protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return nil, bad()
	}
	var ip, host string
	inner := spec
	if i := strings.LastIndex(spec, ":"); i >= 0 {
		host, inner = spec[:i], spec[i+1:]
		if j := strings.LastIndex(host, ":"); j >= 0 {
			ip, host = strings.Trim(host[:j], "[]"), host[j+1:]
			if _, err := netip.ParseAddr(ip); err != nil {
				return nil, bad()
			}
		}
	}
	first, last, err := portRange(inner)
	if err != nil || first == 0 {
		return nil, bad()
	}
	hostFirst, hostLast, err := portRange(host)
	if err != nil || host != "" && hostLast-hostFirst != last-first {
		return nil, bad()
	}
	var out []engine.PortMapping
	for i := range int(last-first) + 1 {
		m := engine.PortMapping{Protocol: protocol, HostIP: ip, ContainerPort: first + uint16(i)}
		if host != "" {
			m.HostPort = hostFirst + uint16(i)
		}
		out = append(out, m)
	}
	return out, nil
}

func portRange(s string) (first, last uint16, err error) {
	if s == "" {
		return 0, 0, nil
	}
	low, high, ok := strings.Cut(s, "-")
	if !ok {
		high = low
	}
	a, err := strconv.ParseUint(low, 10, 16)
	if err != nil {
		return 0, 0, err
	}
	b, err := strconv.ParseUint(high, 10, 16)
	if err != nil || b < a {
		return 0, 0, strconv.ErrRange
	}
	return uint16(a), uint16(b), nil
}

func (o *runOptions) planResources(p *runPlan) error {
	if o.memory != "" {
		n, err := parseSize(o.memory)
		if err != nil {
			return fault.New(fault.Invalid, "--memory %q: use a number with b, k, m or g, at least 6m", o.memory)
		}
		p.container.Resources.MemoryLimit = n
		p.container.Resources.MemorySwap = 2 * n // docker's default: as much swap as memory
	}
	if o.cpus != "" {
		f, err := strconv.ParseFloat(o.cpus, 64)
		if err != nil || f <= 0 || math.IsInf(f, 0) {
			return fault.New(fault.Invalid, "--cpus %q: use a positive number, such as 0.5", o.cpus)
		}
		p.container.Resources.CPUPeriod = 100_000
		p.container.Resources.CPUQuota = int64(f * 100_000)
	}
	return nil
}

// parseSize reads docker's sizes, in powers of 1024.
func parseSize(s string) (int64, error) {
	s = strings.TrimSuffix(strings.ToLower(s), "b")
	shift := 0
	if i := strings.IndexAny(s, "kmgt"); i >= 0 && i == len(s)-1 {
		shift = 10 * (1 + strings.IndexByte("kmgt", s[i]))
		s = s[:i]
	}
	f, err := strconv.ParseFloat(s, 64)
	n := f * float64(int64(1)<<shift)
	if err != nil || n < 6<<20 || n > math.MaxInt64/4 {
		return 0, strconv.ErrRange
	}
	return int64(n), nil
}

func (o *runOptions) planSecurity(p *runPlan) error {
	for _, s := range o.security {
		switch s {
		case "no-new-privileges", "no-new-privileges=true", "no-new-privileges:true":
			p.container.Security.NoNewPrivileges = true
		case "seccomp=unconfined", "seccomp:unconfined":
			p.container.Security.Seccomp = "unconfined"
		default:
			return fault.New(fault.Unsupported, "--security-opt %q: use no-new-privileges or seccomp=unconfined", s)
		}
	}
	return nil
}

func (o *runOptions) planDevices(p *runPlan) error {
	for _, s := range o.devices {
		parts := strings.Split(s, ":")
		d := engine.Device{HostPath: parts[0], Path: parts[0], Permissions: "rwm"}
		if len(parts) > 1 {
			d.Path = parts[1]
		}
		if len(parts) > 2 {
			d.Permissions = parts[2]
		}
		if !filepath.IsAbs(d.HostPath) || !filepath.IsAbs(d.Path) || len(parts) > 3 {
			return fault.New(fault.Invalid, "--device %q: use HOSTPATH[:PATH[:rwm]]", s)
		}
		p.container.Devices = append(p.container.Devices, d)
	}
	return nil
}

func (o *runOptions) planEnv(p *runPlan, lookup func(string) (string, bool)) error {
	lines := []string{}
	for _, path := range o.envFiles {
		f, err := os.Open(path)
		if err != nil {
			return fault.As(fault.Invalid, err)
		}
		for scan := bufio.NewScanner(f); scan.Scan(); {
			if l := strings.TrimSpace(scan.Text()); l != "" && l[0] != '#' {
				lines = append(lines, l)
			}
		}
		f.Close()
	}
	for _, s := range append(lines, o.env...) {
		name, _, ok := strings.Cut(s, "=")
		if name == "" {
			return fault.New(fault.Invalid, "-e %q: use NAME=VALUE or NAME", s)
		}
		if !ok {
			value, found := lookup(name)
			if !found {
				continue
			}
			s = name + "=" + value
		}
		p.container.Env = append(p.container.Env, s)
	}
	if o.tty {
		p.container.Env = append([]string{"TERM=xterm"}, p.container.Env...)
	}
	return nil
}

func (o *runOptions) planMounts(p *runPlan, volumes string) error {
	for _, s := range o.volumes {
		m, make, err := parseVolume(s, volumes)
		if err != nil {
			return err
		}
		p.container.Mounts = append(p.container.Mounts, m)
		if make {
			p.makeDirs = append(p.makeDirs, m.Source)
		}
	}
	for _, s := range o.tmpfs {
		target, options, _ := strings.Cut(s, ":")
		if !filepath.IsAbs(target) {
			return fault.New(fault.Invalid, "--tmpfs %q: the target is an absolute path", s)
		}
		m := engine.Mount{Type: "tmpfs", Target: target}
		if options != "" {
			m.Options = strings.Split(options, ",")
		}
		p.container.Mounts = append(p.container.Mounts, m)
	}
	return nil
}

// parseVolume reads SOURCE:TARGET[:OPTIONS]. A source that is not there is made, as docker does.
func parseVolume(s, volumes string) (m engine.Mount, make bool, err error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || !filepath.IsAbs(parts[1]) {
		return m, false, fault.New(fault.Invalid, "-v %q: use SOURCE:TARGET[:ro], TARGET an absolute path", s)
	}
	m = engine.Mount{Source: parts[0], Target: parts[1], Propagation: "rprivate"}
	switch {
	case strings.HasPrefix(m.Source, "."): // docker takes these since 23.0
		if m.Source, err = filepath.Abs(m.Source); err != nil {
			return m, false, err
		}
	case !filepath.IsAbs(m.Source):
		if strings.Contains(m.Source, "/") {
			return m, false, fault.New(fault.Invalid, "-v %q: a source is an absolute path, or the name of a volume without a slash", s)
		}
		m.Source = filepath.Join(volumes, m.Source)
	}
	if len(parts) == 3 {
		for _, option := range strings.Split(parts[2], ",") {
			switch option {
			case "ro":
				m.ReadOnly = true
			case "rw", "z", "Z":
			case "rslave", "rshared", "rprivate":
				m.Propagation = option
			default:
				return m, false, fault.New(fault.Unsupported, "-v %q: option %q is not supported; use ro, rw, rslave, rshared", s, option)
			}
		}
	}
	if m.Propagation == "rprivate" {
		m.Propagation = ""
	}
	_, err = os.Stat(m.Source)
	return m, os.IsNotExist(err), nil
}
