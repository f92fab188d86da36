package clienttest_test

import (
	"testing"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
)

func TestFake(t *testing.T) {
	clienttest.Test(t, func(*testing.T) client.Conn { return clienttest.NewFake(clienttest.Registry()) })
}
