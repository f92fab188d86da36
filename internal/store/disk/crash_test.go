package disk_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/disk"
)

// A child process writes as fast as it can and prints every acknowledged write; it is killed
// with SIGKILL after a random number of acknowledgements. Whatever it printed must be there.
const crashes = 200

func TestKillLosesNoAcknowledgedWrite(t *testing.T) {
	if os.Getenv("DISK_TEST_WRITER") != "" {
		crashWriter(os.Getenv("DISK_TEST_WRITER"))
		return
	}
	path := filepath.Join(t.TempDir(), "store.db")
	want := map[string]string{}
	for i := range crashes {
		acknowledged := runAndKill(t, path, 1+rand.IntN(60))
		for _, line := range acknowledged {
			key, value, _ := strings.Cut(line, "=")
			want[key] = value
		}
		if i%20 == 19 {
			check(t, path, want)
		}
	}
	check(t, path, want)
	t.Logf("%d kills, %d acknowledged keys", crashes, len(want))
}

func runAndKill(t *testing.T, path string, after int) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillLosesNoAcknowledgedWrite$")
	cmd.Env = append(os.Environ(), "DISK_TEST_WRITER="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		if lines = append(lines, scanner.Text()); len(lines) == after {
			cmd.Process.Kill() // what it printed before it died still counts: read on
		}
	}
	cmd.Wait()
	if len(lines) < after {
		t.Fatalf("writer ended by itself after %d writes", len(lines))
	}
	// The last line may be cut by the kill; a whole one ends with "."
	if last := lines[len(lines)-1]; !strings.HasSuffix(last, ".") {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func crashWriter(path string) {
	s, err := disk.Open(path, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	base := s.Revision()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				key, value := fmt.Sprintf("/k/%d/%d/%d", base, w, n/2), fmt.Sprintf("%d-%d.", base, n)
				if write(s, key, value) != nil {
					os.Exit(1)
				}
				io.WriteString(os.Stdout, key+"="+value+"\n")
			}
		})
	}
	wg.Wait()
}

func write(s store.Store, key, value string) error {
	ctx := context.Background()
	old, err := s.Get(ctx, key)
	if err != nil {
		_, err = s.Create(ctx, key, []byte(value))
		return err
	}
	_, err = s.Update(ctx, key, []byte(value), old.Revision)
	return err
}

func check(t *testing.T, path string, want map[string]string) {
	t.Helper()
	s := open(t, path)
	defer s.Close()
	list, _, err := s.List(context.Background(), "/k/")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, e := range list {
		have[e.Key] = string(e.Value)
	}
	for key, value := range want {
		if !newer(have[key], value) {
			t.Fatalf("acknowledged %s=%s, found %q", key, value, have[key])
		}
	}
}

// newer: an unacknowledged second write may have replaced the acknowledged first one.
func newer(have, want string) bool {
	var b1, n1, b2, n2 int
	if _, err := fmt.Sscanf(have, "%d-%d.", &b1, &n1); err != nil {
		return false
	}
	fmt.Sscanf(want, "%d-%d.", &b2, &n2)
	return b1 == b2 && n1 >= n2
}

func open(t *testing.T, path string) *disk.Store {
	t.Helper()
	s, err := disk.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
