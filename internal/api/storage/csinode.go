package storage

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// CSINode of the group storage.
func CSINode() *api.Kind {
	return &api.Kind{
		Kind: "CSINode", Resource: "csinodes",
		Versions: []api.Version{kit.Served[storagev1.CSINode, storagev1.CSINodeList](storagev1.SchemeGroupVersion)},
		Validate: kit.To(func(o *storagev1.CSINode) field.ErrorList {
			var errs field.ErrorList
			p := field.NewPath("spec", "drivers")
			seen := map[string]bool{}
			for i, d := range o.Spec.Drivers {
				ip := p.Index(i)
				errs = append(errs, podspec.DriverName(ip.Child("name"), d.Name)...)
				errs = append(errs, check.Present(ip.Child("nodeID"), d.NodeID)...)
				if seen[d.Name] {
					errs = append(errs, field.Duplicate(ip.Child("name"), d.Name))
				}
				seen[d.Name] = true
				if d.Allocatable != nil {
					errs = append(errs, check.OptionalNonNegative(ip.Child("allocatable", "count"), d.Allocatable.Count)...)
				}
			}
			return errs
		}),
		Columns: kit.Columns(kit.Int("Drivers", "Drivers indicates the number of CSI drivers registered on the node")),
		Cells: kit.Cells(func(o *storagev1.CSINode, now time.Time) []any {
			return []any{o.Name, int64(len(o.Spec.Drivers)), kit.Age(o, now)}
		}),
	}
}
