package controller

import (
	"errors"
	"sync"
)

// SlowStart calls f for 0…n-1 in parallel batches of 1, 2, 4 …, and stops after the first batch with an error: whatever
// fails for the first pod is likely to fail for all. It returns how many succeeded.
func SlowStart(n int, f func(i int) error) (int, error) {
	done := 0
	for batch := 1; done < n; batch *= 2 {
		size := min(batch, n-done)
		ok, err := Parallel(size, func(i int) error { return f(done + i) })
		if err != nil {
			return done + ok, err
		}
		done += size
	}
	return done, nil
}

// Parallel calls f for 0…n-1, all at once, and waits. It returns how many succeeded.
func Parallel(n int, f func(i int) error) (int, error) {
	if n == 1 {
		if err := f(0); err != nil {
			return 0, err
		}
		return 1, nil
	}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	ok := 0
	for _, err := range errs {
		if err == nil {
			ok++
		}
	}
	return ok, errors.Join(errs...)
}
