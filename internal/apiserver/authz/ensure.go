package authz

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/x/run"
)

// ensureWriters write at once, so that the store can put many into one transaction.
const ensureWriters = 32

// Ensure makes the default roles and bindings be there, as a start does. conn must be that of a member of
// system:masters; the namespaces kube-system and kube-public exist already.
func Ensure(ctx context.Context, conn client.Conn) error {
	g := run.New(ctx)
	work := make(chan api.Object)
	for range ensureWriters {
		g.Go("policy", func(ctx context.Context) error {
			for o := range work {
				if err := ensureOne(ctx, conn, o); err != nil {
					return fmt.Errorf("ensure default %T %s: %w", o, o.GetName(), err)
				}
			}
			return nil
		})
	}
	g.Go("feed", func(ctx context.Context) error {
		defer close(work)
		for _, o := range Bootstrap() {
			select {
			case work <- o:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

func ensureOne(ctx context.Context, conn client.Conn, want api.Object) error {
	k := conn.Registry().Resource(schema.GroupResource{Group: rbacv1.GroupName, Resource: resourceOf(want)})
	if k == nil {
		return fmt.Errorf("kind is not served")
	}
	have, err := conn.Get(ctx, k, want.GetNamespace(), want.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = conn.Create(ctx, k, want, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	update, recreate := Reconcile(have, want)
	if update == nil {
		return nil
	}
	if !recreate {
		_, err = conn.Update(ctx, k, update, "", metav1.UpdateOptions{})
		return err
	}
	if err := conn.Delete(ctx, k, want.GetNamespace(), want.GetName(), metav1.DeleteOptions{}); err != nil {
		return err
	}
	_, err = conn.Create(ctx, k, want, metav1.CreateOptions{})
	return err
}

func resourceOf(o api.Object) string {
	switch o.(type) {
	case *rbacv1.ClusterRole:
		return "clusterroles"
	case *rbacv1.ClusterRoleBinding:
		return "clusterrolebindings"
	case *rbacv1.Role:
		return "roles"
	}
	return "rolebindings"
}
