package scheduler

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
	"github.com/dhow-project/dhow/internal/scheduler/cluster"
	"github.com/dhow-project/dhow/internal/scheduler/filter"
	"github.com/dhow-project/dhow/internal/x/run"
)

// shelf is a cluster.Storage by name.
type shelf struct {
	claims  map[string]*corev1.PersistentVolumeClaim
	volumes map[string]*corev1.PersistentVolume
	classes map[string]*storagev1.StorageClass
}

func (s *shelf) Claim(_, name string) *corev1.PersistentVolumeClaim { return s.claims[name] }
func (s *shelf) Volume(name string) *corev1.PersistentVolume        { return s.volumes[name] }
func (s *shelf) Class(name string) *storagev1.StorageClass          { return s.classes[name] }
func (s *shelf) Suitable(*corev1.PersistentVolumeClaim) (out []*corev1.PersistentVolume) {
	for _, v := range s.volumes {
		out = append(out, v)
	}
	return out
}

func stocked(things ...api.Object) *shelf {
	s := &shelf{map[string]*corev1.PersistentVolumeClaim{}, map[string]*corev1.PersistentVolume{}, map[string]*storagev1.StorageClass{}}
	for _, o := range things {
		switch o := o.(type) {
		case *corev1.PersistentVolumeClaim:
			s.claims[o.Name] = o
		case *corev1.PersistentVolume:
			s.volumes[o.Name] = o
		case *storagev1.StorageClass:
			s.classes[o.Name] = o
		}
	}
	return s
}

func mounting(claims ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for _, name := range claims {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}})
		}
	}
}

func scratch(p *corev1.Pod) {
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}})
}

// claim of 1Gi of the class "wait" until changed.
func claim(name string, change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	class := "wait"
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "uid-of-claim", Annotations: map[string]string{}},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func of(class string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = &class }
}

func bound(volume string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.VolumeName, c.Status.Phase = volume, corev1.ClaimBound
		c.Annotations[binding.BindCompleted] = "yes"
	}
}

func chosen(node string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Annotations[binding.SelectedNode] = node }
}

func alone(c *corev1.PersistentVolumeClaim) {
	c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
}

// volume of the class "wait" on a node.
func volume(name, size, node string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{StorageClassName: "wait", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}}},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
}

func class(name, provisioner string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &mode}
}

func TestPickWithVolumes(t *testing.T) {
	wait := class("wait", binding.NoProvisioner, storagev1.VolumeBindingWaitForFirstConsumer)
	makes := class("makes", "example.com/disk", storagev1.VolumeBindingWaitForFirstConsumer)
	zoned := class("zoned", "example.com/disk", storagev1.VolumeBindingWaitForFirstConsumer)
	zoned.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelHostname, Values: []string{"b"}}}}}
	now := class("now", "example.com/disk", storagev1.VolumeBindingImmediate)
	leaving := claim("c")
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	own := claim("p-scratch", of("makes"), func(c *corev1.PersistentVolumeClaim) {
		c.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(pod("p"), corev1.SchemeGroupVersion.WithKind("Pod"))}
	})
	type things = []api.Object
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		on   map[string][]*corev1.Pod
		have things
		want string // node, what is reserved, what is made; or message
	}{
		{"no such claim", pod("p", mounting("c")), nil, nil, `0/2 nodes are available: persistentvolumeclaim "c" not found.`},
		{"no such claim yet", pod("p", scratch), nil, nil, `0/2 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "p-scratch".`},
		{"somebody else's claim", pod("p", scratch), nil, things{claim("p-scratch", bound("v")), volume("v", "1Gi", "a")}, `0/2 nodes are available: PVC default/p-scratch was not created for pod default/p (pod is not owner).`},
		{"its own claim", pod("p", scratch, selector(corev1.LabelHostname, "b")), nil, things{own, makes}, "b makes p-scratch"},
		{"lost", pod("p", mounting("c")), nil, things{claim("c", bound("v"), func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost })},
			`0/2 nodes are available: persistentvolumeclaim "c" bound to non-existent persistentvolume "v".`},
		{"leaving", pod("p", mounting("c")), nil, things{leaving}, `0/2 nodes are available: persistentvolumeclaim "c" is being deleted.`},
		{"unbound and not waiting", pod("p", mounting("c")), nil, things{claim("c", of("now")), now}, "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."},
		{"of no class", pod("p", mounting("c")), nil, things{claim("c", of("none"))}, "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."},
		{"where its volume is", pod("p", mounting("c")), nil, things{claim("c", bound("v")), volume("v", "1Gi", "b")}, "b"},
		{"its volume is nowhere", pod("p", mounting("c")), nil, things{claim("c", bound("v")), volume("v", "1Gi", "z")}, "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."},
		{"its volume is gone", pod("p", mounting("c")), nil, things{claim("c", bound("v"))}, "0/2 nodes are available: 2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)."},
		{"where a volume is free", pod("p", mounting("c")), nil, things{claim("c"), wait, volume("v", "1Gi", "b"), volume("w", "1Gi", "z")}, "b takes v for c"},
		{"none is free", pod("p", mounting("c")), nil, things{claim("c"), wait, volume("w", "1Gi", "z")}, "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."},
		{"two claims, two volumes", pod("p", mounting("large", "small")), nil, things{wait, claim("small"), claim("large", func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("5Gi")
		}), volume("v", "9Gi", "b"), volume("w", "6Gi", "b")}, "b takes w for small v for large"},
		{"two claims, one volume", pod("p", mounting("c", "d")), nil, things{wait, claim("c"), claim("d"), volume("v", "9Gi", "b")}, "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."},
		{"one can be made where it may", pod("p", mounting("c")), nil, things{claim("c", of("zoned")), zoned}, "b makes c"},
		{"one is being made", pod("p", mounting("c")), nil, things{claim("c", of("makes"), chosen("b")), makes}, "b makes c"},
		{"its node is gone", pod("p", mounting("c"), selector(corev1.LabelHostname, "a")), nil, things{claim("c", of("makes"), chosen("z")), makes}, "a makes c"},
		{"only for one pod", pod("p", mounting("c")), map[string][]*corev1.Pod{"a": {pod("x", mounting("c"))}}, things{claim("c", bound("v"), alone), volume("v", "1Gi", "a")},
			"0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := state([]*corev1.Node{node("a"), node("b")}, tc.on)
			s.SetStorage(stocked(tc.have...))
			p := cluster.Compile(tc.pod)
			d := new(picker).pick(s, p)
			got := d.message()
			if d.node != "" {
				v, _ := filter.Plan(s, p, s.Node(d.node))
				got = d.node + said(v)
			}
			if got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func said(v filter.Volumes) string {
	var out strings.Builder
	for i, r := range v.Reserve {
		if i == 0 {
			out.WriteString(" takes")
		}
		out.WriteString(" " + r.Volume.Name + " for " + r.Claim.Name)
	}
	for _, c := range v.Provision {
		out.WriteString(" makes " + c.Name)
	}
	return out.String()
}

func TestPromisedVolumesAreTaken(t *testing.T) {
	s := state([]*corev1.Node{node("a")}, nil)
	s.SetStorage(stocked(class("wait", binding.NoProvisioner, storagev1.VolumeBindingWaitForFirstConsumer), claim("c"), claim("d"), volume("v", "1Gi", "a")))
	first, second := cluster.Compile(pod("first", mounting("c"))), cluster.Compile(pod("second", mounting("d")))
	s.Assign(first, "a")
	s.Promise("first", []string{"v"})
	if d := new(picker).pick(s, second); d.node != "" {
		t.Error("one volume was promised twice")
	}
	s.Remove("first")
	if d := new(picker).pick(s, second); d.node != "a" {
		t.Error(d.message())
	}
}

// binds is a server that remembers bindings.
type binds struct {
	client.Conn
	made chan string
}

func (b binds) Post(_ context.Context, _ *api.Kind, _, name, _ string, body runtime.Object) (runtime.Object, error) {
	b.made <- name + " " + body.(*corev1.Binding).Target.Name
	return body, nil
}

type silent struct{}

func (silent) Event(api.Object, string, string, string, ...any) {}

// TestPodWaitsForItsVolume: the claim is told the node first, and the pod is bound when the volume is there.
func TestPodWaitsForItsVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := clienttest.NewFake(clienttest.Registry())
		p := pod("p", mounting("c"), func(p *corev1.Pod) { p.Spec.SchedulerName = Name })
		fake.Seed(node("a"), p, class("makes", "example.com/disk", storagev1.VolumeBindingWaitForFirstConsumer))
		log := slog.New(slog.DiscardHandler)
		caches, server := client.NewCaches(fake, log), binds{fake, make(chan string, 10)}
		s := New(Config{Conn: server, Caches: caches, Recorder: silent{}, Log: log})
		g := run.New(t.Context())
		g.Go("caches", caches.Run)
		g.Go("scheduler", s.Run)
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		claims, volumes := client.For[*corev1.PersistentVolumeClaim](fake), client.For[*corev1.PersistentVolume](fake)
		synctest.Wait()
		_, err := claims.Create(t.Context(), claim("c", of("makes"))) // later than its pod
		ok(err)
		synctest.Wait()
		c, err := claims.Get(t.Context(), "default", "c")
		ok(err)
		if c.Annotations[binding.SelectedNode] != "a" || len(server.made) != 0 {
			t.Fatalf("annotations %v, %d bindings", c.Annotations, len(server.made))
		}
		_, err = volumes.Create(t.Context(), volume("v", "1Gi", "a"))
		ok(err)
		c = c.DeepCopy()
		bound("v")(c)
		_, err = claims.Update(t.Context(), c)
		ok(err)
		synctest.Wait()
		if len(server.made) != 1 || <-server.made != "p a" {
			t.Error("not bound when the volume was there")
		}
		g.Stop()
		ok(g.Wait())
	})
}

// TestPodGivesUpItsPlace: a provisioner that cannot serve the node takes the annotation away.
func TestPodGivesUpItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := clienttest.NewFake(clienttest.Registry())
		fake.Seed(node("a"), pod("p", mounting("c"), func(p *corev1.Pod) { p.Spec.SchedulerName = Name }), claim("c", of("makes")),
			class("makes", "example.com/disk", storagev1.VolumeBindingWaitForFirstConsumer))
		log := slog.New(slog.DiscardHandler)
		caches := client.NewCaches(fake, log)
		s := New(Config{Conn: fake, Caches: caches, Recorder: silent{}, Log: log})
		g := run.New(t.Context())
		g.Go("caches", caches.Run)
		g.Go("scheduler", s.Run)
		claims := client.For[*corev1.PersistentVolumeClaim](fake)
		for range 2 { // and tries again after its back-off
			time.Sleep(time.Minute)
			synctest.Wait()
			c, err := claims.Get(t.Context(), "default", "c")
			if err != nil || c.Annotations[binding.SelectedNode] != "a" {
				t.Fatalf("claim %v, %v", c, err)
			}
			c = c.DeepCopy()
			delete(c.Annotations, binding.SelectedNode)
			if _, err := claims.Update(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		g.Stop()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
}
