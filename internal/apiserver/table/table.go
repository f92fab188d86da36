// Package table prints objects as rows for `kubectl get` (meta.k8s.io Table).
//
// Columns and cells come from the kind; kinds that say nothing get Name and Age.
package table

import (
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/dhow-project/dhow/internal/api"
)

// Columns of a kind.
func Columns(k *api.Kind, version int) []metav1.TableColumnDefinition {
	if v := &k.Versions[version]; v.Columns != nil {
		return v.Columns
	}
	if k.Columns != nil {
		return k.Columns
	}
	doc := metav1.ObjectMeta{}.SwaggerDoc()
	return []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: doc["name"]},
		{Name: "Age", Type: "string", Description: doc["creationTimestamp"]},
	}
}

// Row of one object. include is None, Metadata (the default) or Object; full encodes the whole object.
func Row(k *api.Kind, at int, obj api.Object, now time.Time, include, version string, full func(api.Object) ([]byte, error)) (metav1.TableRow, error) {
	row := metav1.TableRow{Cells: cells(k, at, obj, now)}
	var err error
	switch include {
	case "", string(metav1.IncludeMetadata):
		m := meta.AsPartialObjectMetadata(obj)
		m.TypeMeta = metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/" + version}
		row.Object.Raw, err = json.Marshal(m)
	case string(metav1.IncludeObject):
		row.Object.Raw, err = full(obj)
	case string(metav1.IncludeNone):
		row.Object = runtime.RawExtension{}
	default:
		err = apierrors.NewBadRequest(fmt.Sprintf("unrecognized includeObject value: %q", include))
	}
	return row, err
}

func cells(k *api.Kind, version int, obj api.Object, now time.Time) []any {
	if f := k.Versions[version].Cells; f != nil {
		return f(obj, now)
	}
	if k.Cells != nil {
		return k.Cells(obj, now)
	}
	return []any{obj.GetName(), Age(obj.GetCreationTimestamp(), now)}
}

// Age in the words of kubectl.
func Age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}
