package clienttest

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
)

// Test holds an implementation of client.Conn to the contract. connect gives a connection to a server that
// serves at least Namespace, ConfigMap and Node and lets its user do everything.
func Test(t *testing.T, connect func(*testing.T) client.Conn) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"CreateGetUpdateDelete", lifecycle},
		{"Conflict", conflict},
		{"Preconditions", preconditions},
		{"StatusIsApart", statusIsApart},
		{"Patch", patch},
		{"GenerateName", generateName},
		{"Finalizers", finalizers},
		{"Select", selects},
		{"Watch", watches},
		{"WatchSelected", watchSelected},
		{"WatchInitialEvents", watchInitial},
		{"DeleteCollection", deleteCollection},
		{"Caches", caches},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &suite{t: t, ctx: ctx, conn: connect(t)}
			s.maps, s.nodes = client.For[*corev1.ConfigMap](s.conn), client.For[*corev1.Node](s.conn)
			ns, err := client.For[*corev1.Namespace](s.conn).Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "suite-"}})
			s.ok(err)
			s.ns = ns.Name
			c.run(t, s)
		})
	}
}
