package mem_test

import (
	"testing"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/mem"
	"github.com/dhow-project/dhow/internal/store/storetest"
)

func TestMem(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return mem.New() })
}
