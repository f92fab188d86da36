package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/kubectl"
	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/linux/pidfd"
	"github.com/dhow-project/dhow/internal/pki"
	"github.com/dhow-project/dhow/internal/service/proxy"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Down stops a cluster, whether its daemon runs or not: the process, its containers, and all it made on
// the host. With purge its data goes as well.
func Down(ctx context.Context, c config.Config, purge bool, step func(config.Step)) error {
	c, err := c.Complete()
	if err != nil {
		return err
	}
	d := &daemon{config: c, layout: c.Places(), log: newLog("error")}
	for _, s := range []struct {
		name string
		run  func(context.Context) (bool, error)
	}{
		{"daemon stopped", d.stopProcess},
		{"containers stopped, host cleaned", d.cleanHost},
		{"data removed", func(context.Context) (bool, error) { return purge, d.removeData(purge) }},
	} {
		begin := time.Now()
		did, err := s.run(ctx)
		if err != nil {
			return err
		}
		if did {
			step(config.Step{Name: s.name, Took: time.Since(begin)})
		}
	}
	return nil
}

// stopProcess asks the daemon to end and waits until it has.
func (d *daemon) stopProcess(ctx context.Context) (bool, error) {
	running, err := d.layout.ReadRunning()
	if err != nil || running.PID == os.Getpid() {
		return false, nil
	}
	process, err := pidfd.Open(running.PID)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the daemon: %w", err)
	}
	defer process.Close()
	if !d.layout.Held() { // the number belongs to somebody else by now
		return false, nil
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return false, fmt.Errorf("stop the daemon: %w", err)
	}
	patience, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = process.Wait(patience)
	if err != nil && ctx.Err() == nil { // it hangs
		err = errors.Join(process.Signal(syscall.SIGKILL), process.Wait(ctx))
	}
	return err == nil, err
}

// cleanHost stops the containers and takes back everything outside the data directory.
func (d *daemon) cleanHost(ctx context.Context) (bool, error) {
	saved, err := config.Saved(d.config.DataDir)
	if err != nil {
		return false, err
	}
	d.config = d.config.Merge(saved)
	if d.config.PodCIDR == "" { // it never came up
		return false, errors.Join(os.RemoveAll(d.layout.Run), d.leaveMachine())
	}
	_, err = os.Stat(d.layout.Run)
	there := err == nil
	release, err := lock(d.layout)
	if err != nil {
		return false, err
	}
	defer release()
	e, err := openEngine(ctx, d)
	if err != nil {
		return false, err
	}
	return there, errors.Join(
		e.Purge(ctx),
		proxy.Purge(d.config.Name),
		mount.UnmountBelow(d.layout.Node()),
		os.RemoveAll(d.layout.Run),
		d.leaveMachine(),
	)
}

// leaveMachine removes the directory of all clusters after the last one, unless one is about to begin.
func (d *daemon) leaveMachine() error {
	release, err := alone(d.layout)
	if err != nil {
		return err
	}
	defer release()
	return removeIfEmpty(filepath.Dir(d.layout.Run))
}

func (d *daemon) removeData(purge bool) error {
	if !purge {
		return nil
	}
	var errs []error
	if _, _, err := pki.UserKubeconfig(os.Getenv); err == nil { // else there is nobody to have one
		_, err := d.editUserKubeconfig(func(path string, owner *pki.Owner) error {
			return pki.RemoveKubeconfig(path, owner, contextName(d.config))
		})
		errs = append(errs, err, d.leaveMachine())
	}
	errs = append(errs, os.RemoveAll(d.config.DataDir), removeIfEmpty("/var/lib/dhow"))
	if last(filepath.Dir(d.layout.Run), "/var/lib/dhow") {
		errs = append(errs, kubectl.Forget(os.Getenv))
	}
	return errors.Join(errs...)
}

// last tells whether no cluster is left that anybody can know of: none of these directories is there.
func last(dirs ...string) bool {
	return !slices.ContainsFunc(dirs, func(dir string) bool { _, err := os.Stat(dir); return err == nil })
}

func removeIfEmpty(dir string) error {
	err := os.Remove(dir)
	if err == nil || os.IsNotExist(err) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EBUSY) {
		return nil
	}
	return err
}
