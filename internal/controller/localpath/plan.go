package localpath

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
)

// plan is what to do for a claim; the zero value waits.
type plan struct {
	volume   *corev1.PersistentVolume
	refusal  string // why there will be none, and what to do about it
	unselect bool   // the scheduler is to choose again
}

// decide makes the volume for a claim. nodes are the one that was selected, or all when none was.
func decide(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, nodes []*corev1.Node) plan {
	if why := refusal(claim, class); why != "" {
		return plan{refusal: why}
	}
	selected := claim.Annotations[binding.SelectedNode]
	if selected == "" && binding.Waits(class) {
		return plan{}
	}
	able := slices.DeleteFunc(slices.Clone(nodes), func(n *corev1.Node) bool { return n.Annotations[binding.LocalPathRoot] == "" })
	switch {
	case selected != "" && len(nodes) == 0:
		return plan{unselect: true}
	case selected != "" && len(able) == 0:
		return plan{refusal: fmt.Sprintf("node %s keeps no local volumes: give the pod another node", selected)}
	case len(able) == 0:
		return plan{refusal: "no node keeps local volumes yet"}
	case len(able) > 1:
		return plan{refusal: "there are several nodes and none is chosen: use a class with volumeBindingMode WaitForFirstConsumer"}
	}
	return plan{volume: volume(claim, class, able[0])}
}

func refusal(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) string {
	s := &claim.Spec
	switch {
	case s.VolumeMode != nil && *s.VolumeMode == corev1.PersistentVolumeBlock:
		return "a directory is no block device: use volumeMode Filesystem"
	case s.Selector != nil:
		return "claim Selector is not supported: leave it out, or make a volume with these labels"
	case s.DataSource != nil || s.DataSourceRef != nil:
		return "volumes cannot be filled from a data source: leave dataSource and dataSourceRef out"
	case len(class.Parameters) > 0:
		return "the class has parameters, of which " + binding.LocalPath + " knows none: remove them"
	case len(class.MountOptions) > 0:
		return "the class has mountOptions, which a directory cannot have: remove them"
	}
	return ""
}

// volumeName is the same however often it is tried.
func volumeName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

func volume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, n *corev1.Node) *corev1.PersistentVolume {
	policy := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	mode, name := corev1.PersistentVolumeFilesystem, volumeName(claim)
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{binding.ProvisionedBy: binding.LocalPath},
			Labels:      map[string]string{binding.LocalPathNode: n.Name},
			Finalizers:  []string{binding.LocalPathFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes, VolumeMode: &mode,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeReclaimPolicy: policy, StorageClassName: class.Name,
			ClaimRef: &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{
				Path: filepath.Join(n.Annotations[binding.LocalPathRoot], directory(name, claim)),
			}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{hostname(n)}}},
			}}}},
		},
	}
}

// longest is what a file system takes as the name of a directory, in bytes.
const longest = 255

// directory says to people whose data it holds.
func directory(volume string, claim *corev1.PersistentVolumeClaim) string {
	name := strings.Join([]string{volume, claim.Namespace, claim.Name}, "_")
	return name[:min(len(name), longest)]
}

func hostname(n *corev1.Node) string {
	if h := n.Labels[corev1.LabelHostname]; h != "" {
		return h
	}
	return n.Name
}
