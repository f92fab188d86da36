package storage

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CSIStorageCapacity of the group storage.
func CSIStorageCapacity() *api.Kind {
	return &api.Kind{
		Kind: "CSIStorageCapacity", Resource: "csistoragecapacities",
		Namespaced: true,
		Versions:   []api.Version{kit.Served[storagev1.CSIStorageCapacity, storagev1.CSIStorageCapacityList](storagev1.SchemeGroupVersion)},
		Validate: kit.To(func(o *storagev1.CSIStorageCapacity) field.ErrorList {
			errs := check.Join(check.Selector(field.NewPath("nodeTopology"), o.NodeTopology), check.DNSSubdomain(field.NewPath("storageClassName"), o.StorageClassName))
			if o.Capacity != nil {
				errs = append(errs, check.NonNegativeQuantity(field.NewPath("capacity"), *o.Capacity)...)
			}
			return errs
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *storagev1.CSIStorageCapacity) field.ErrorList {
			return check.Join(check.Immutable(field.NewPath("nodeTopology"), o.NodeTopology, old.NodeTopology),
				check.Immutable(field.NewPath("storageClassName"), o.StorageClassName, old.StorageClassName))
		}),
		Columns: []metav1.TableColumnDefinition{
			kit.NameColumn(),
			kit.Column("StorageClassName", storagev1.CSIStorageCapacity{}.SwaggerDoc()["storageClassName"]),
			kit.Column("Capacity", storagev1.CSIStorageCapacity{}.SwaggerDoc()["capacity"]),
		},
		Cells: kit.Cells(func(o *storagev1.CSIStorageCapacity, _ time.Time) []any {
			capacity := "<unset>"
			if o.Capacity != nil {
				capacity = o.Capacity.String()
			}
			return []any{o.Name, o.StorageClassName, capacity}
		}),
	}
}
