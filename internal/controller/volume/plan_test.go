package volume

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api/binding"
)

const rwo, rwx = corev1.ReadWriteOnce, corev1.ReadWriteMany

func claim(change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	class := "manual"
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", UID: "uid"},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{rwo},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}}},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func volume(name, size string, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{StorageClassName: "manual", AccessModes: []corev1.PersistentVolumeAccessMode{rwo},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
	for _, f := range change {
		f(v)
	}
	return v
}

func class(name, provisioner string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &mode}
}

// Changes of claims.
func of(class string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = &class }
}

func open(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }

func wants(volume string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = volume }
}

func wasBound(c *corev1.PersistentVolumeClaim) {
	annotate(c, binding.BindCompleted, "yes")
	c.Status.Phase = corev1.ClaimBound
}

func on(node string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) { annotate(c, binding.SelectedNode, node) }
}

// Changes of volumes.
func forClaim(name string, uid types.UID) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "ns", Name: name, UID: uid}
	}
}

func is(p corev1.PersistentVolumePhase) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) { v.Status.Phase = p }
}

func by(who string, policy corev1.PersistentVolumeReclaimPolicy) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) {
		if v.Spec.PersistentVolumeReclaimPolicy = policy; who != "" {
			annotate(v, binding.ProvisionedBy, who)
		}
	}
}

// say is a plan in one line.
func say(p plan) string {
	var out []string
	if v := p.volume; v != nil {
		ref := "nobody"
		if r := v.Spec.ClaimRef; r != nil {
			ref = fmt.Sprintf("%s:%s", r.Name, r.UID)
		}
		out = append(out, fmt.Sprintf("volume %s %s for %s%s", v.Name, v.Status.Phase, ref, note(v)))
	}
	if c := p.claim; c != nil {
		has, class := "no volume", "open"
		if c.Spec.VolumeName != "" {
			q := c.Status.Capacity[corev1.ResourceStorage]
			has = strings.TrimSpace(c.Spec.VolumeName + " " + q.String())
		}
		if c.Spec.StorageClassName != nil {
			class = *c.Spec.StorageClassName
		}
		out = append(out, fmt.Sprintf("claim %s of %s with %s%s", c.Status.Phase, class, has, note(c)))
	}
	for _, e := range p.events {
		out = append(out, fmt.Sprintf("%s %s: %s", e.kind, e.reason, e.message))
	}
	if p.again {
		out = append(out, "again")
	}
	return strings.Join(out, "; ")
}

func note(o metav1.Object) string {
	var out string
	for _, n := range []struct{ key, short string }{{binding.BoundByController, "ours"}, {binding.BindCompleted, "done"}, {binding.Provisioner, "asks"}} {
		if v := o.GetAnnotations()[n.key]; v == "yes" {
			out += " " + n.short
		} else if v != "" {
			out += " " + n.short + " " + v
		}
	}
	return out
}

func TestClaims(t *testing.T) {
	const wait, now = storagev1.VolumeBindingWaitForFirstConsumer, storagev1.VolumeBindingImmediate
	manual, slow, fast := class("manual", binding.NoProvisioner, now), class("slow", "example.com/disk", wait), class("fast", binding.LocalPath, wait)
	type volumes = []*corev1.PersistentVolume
	for _, tc := range []struct {
		name string
		view claimView
		want string
	}{
		{"the smallest that is large enough", claimView{claim: claim(), class: manual, volumes: volumes{volume("xl", "50Gi"), volume("l", "10Gi"), volume("s", "1Gi")}},
			"volume l Bound for c:uid ours; claim Bound of manual with l 10Gi ours done"},
		{"what is reserved for it, whatever the class", claimView{claim: claim(), class: manual,
			volumes: volumes{volume("l", "5Gi"), volume("mine", "50Gi", forClaim("c", ""), func(v *corev1.PersistentVolume) { v.Spec.StorageClassName = "x" })}},
			"volume mine Bound for c:uid; claim Bound of manual with mine 50Gi ours done"},
		{"another access mode", claimView{claim: claim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = append(c.Spec.AccessModes, rwx)
		}), class: manual, volumes: volumes{volume("a", "5Gi")}}, "Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner"},
		{"another volume mode", claimView{claim: claim(of("")), volumes: volumes{volume("b", "5Gi", func(v *corev1.PersistentVolume) {
			block := corev1.PersistentVolumeBlock
			v.Spec.VolumeMode, v.Spec.StorageClassName = &block, ""
		})}}, "Normal FailedBinding: no persistent volumes available for this claim and no storage class is set"},
		{"selector", claimView{claim: claim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"disk": "ssd"}}
		}), class: manual, volumes: volumes{volume("a", "5Gi"), volume("b", "9Gi", func(v *corev1.PersistentVolume) { v.Labels = map[string]string{"disk": "ssd"} })}},
			"volume b Bound for c:uid ours; claim Bound of manual with b 9Gi ours done"},
		{"not yet available, of others, leaving", claimView{claim: claim(of("gone")), volumes: volumes{volume("a", "5Gi", is(corev1.VolumePending)), volume("b", "5Gi", forClaim("d", "")),
			volume("c", "5Gi", func(v *corev1.PersistentVolume) { now := metav1.Now(); v.DeletionTimestamp = &now })}},
			`Warning ProvisioningFailed: storageclass.storage.k8s.io "gone" not found`},
		{"the default class came later", claimView{claim: claim(open), fallback: "fast"}, "claim Pending of fast with no volume"},
		{"no class at all", claimView{claim: claim(of("")), fallback: "fast"}, "Normal FailedBinding: no persistent volumes available for this claim and no storage class is set"},
		{"waits for a pod", claimView{claim: claim(of("slow")), class: slow, volumes: volumes{volume("a", "5Gi", func(v *corev1.PersistentVolume) { v.Spec.StorageClassName = "slow" })}},
			"Normal WaitForFirstConsumer: waiting for first consumer to be created before binding"},
		{"the scheduler reserved a volume", claimView{claim: claim(of("slow")), class: slow, volumes: volumes{volume("a", "5Gi", forClaim("c", "uid"))}},
			"volume a Bound for c:uid; claim Bound of slow with a 5Gi ours done"},
		{"the scheduler chose a node", claimView{claim: claim(of("slow"), on("n1")), class: slow}, "claim Pending of slow with no volume asks example.com/disk; " +
			"Normal ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'example.com/disk' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."},
		{"ours makes no words", claimView{claim: claim(of("fast"), on("n1")), class: fast}, "claim Pending of fast with no volume asks dhow.dev/local-path"},
		{"a deleted claim gets nothing", claimView{claim: claim(of("fast"), on("n1"), func(c *corev1.PersistentVolumeClaim) { now := metav1.Now(); c.DeletionTimestamp = &now }), class: fast}, ""},
		{"the user chose", claimView{claim: claim(wants("a")), volume: volume("a", "5Gi")}, "volume a Bound for c:uid ours; claim Bound of manual with a 5Gi done"},
		{"the user chose badly", claimView{claim: claim(wants("a")), volume: volume("a", "1Gi")}, `Warning VolumeMismatch: Cannot bind to requested volume "a": requested PV is too small`},
		{"the user chose what is taken", claimView{claim: claim(wants("a")), volume: volume("a", "5Gi", forClaim("d", "other"))}, `Warning FailedBinding: volume "a" already bound to a different claim.`},
		{"the user chose what is to come", claimView{claim: claim(wants("a"))}, ""},
		{"bound", claimView{claim: claim(wants("a"), wasBound), volume: volume("a", "5Gi", forClaim("c", "uid"), is(corev1.VolumeBound))},
			"volume a Bound for c:uid; claim Bound of manual with a 5Gi done"},
		{"its volume forgot it", claimView{claim: claim(wants("a"), wasBound), volume: volume("a", "5Gi")}, "volume a Bound for c:uid ours; claim Bound of manual with a 5Gi done"},
		{"its volume is gone", claimView{claim: claim(wants("a"), wasBound)}, "claim Lost of manual with a 0 done; Warning ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!"},
		{"its volume is another's", claimView{claim: claim(wants("a"), wasBound), volume: volume("a", "5Gi", forClaim("d", "other"))},
			"claim Lost of manual with a 0 done; Warning ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly"},
	} {
		if d := cmp.Diff(tc.want, say(decideClaim(tc.view))); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

func TestVolumes(t *testing.T) {
	const remove, retain, recycle = corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain, corev1.PersistentVolumeReclaimRecycle
	bound := []func(*corev1.PersistentVolume){forClaim("c", "uid"), is(corev1.VolumeBound)}
	with := func(more ...func(*corev1.PersistentVolume)) []func(*corev1.PersistentVolume) {
		return append(bound[:2:2], more...)
	}
	for _, tc := range []struct {
		name   string
		change []func(*corev1.PersistentVolume)
		claim  *corev1.PersistentVolumeClaim
		want   string
	}{
		{"new", []func(*corev1.PersistentVolume){is(corev1.VolumePending)}, nil, "volume v Available for nobody"},
		{"kept for a claim to come", []func(*corev1.PersistentVolume){is(corev1.VolumePending), forClaim("c", "")}, nil, "volume v Available for c:"},
		{"bound half-way", with(is(corev1.VolumePending)), claim(), "again"},
		{"bound", with(is(corev1.VolumePending)), claim(wants("v")), "volume v Bound for c:uid"},
		{"still bound", bound, claim(wants("v")), ""},
		{"the claim took another", bound, claim(wants("w")), "volume v Available for c:"},
		{"the claim took another, by us", with(func(v *corev1.PersistentVolume) { annotate(v, binding.BoundByController, "yes") }), claim(wants("w")), "volume v Available for nobody"},
		{"made for a claim that took another", with(by("example.com/disk", remove)), claim(wants("w")), "volume v Released for c:uid"},
		{"retain", with(by("example.com/disk", retain)), nil, "volume v Released for c:uid"},
		{"delete", with(by("example.com/disk", remove)), nil, "volume v Released for c:uid"},
		{"released before", with(by("", retain), is(corev1.VolumeReleased)), nil, ""},
		{"nobody can delete it", with(by("", remove)), nil, "volume v Failed for c:uid; Warning VolumeFailedDelete: error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched"},
		{"recycle", with(by("", recycle)), nil, "volume v Failed for c:uid; Warning VolumeFailedRecycle: No recycler plugin found for the volume!"},
	} {
		if d := cmp.Diff(tc.want, say(decideVolume(volume("v", "5Gi", tc.change...), tc.claim))); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}
