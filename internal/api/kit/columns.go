package kit

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/dhow-project/dhow/internal/api"
)

// Column is a string column; Int and Bool are those of other types, Wide ones only show with -o wide.
func Column(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "string", Description: description}
}

// Int is a column of numbers.
func Int(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "integer", Description: description}
}

// Bool is a column of booleans.
func Bool(name, description string) metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: name, Type: "boolean", Description: description}
}

// Wide makes columns ones that only show with -o wide.
func Wide(columns ...metav1.TableColumnDefinition) []metav1.TableColumnDefinition {
	for i := range columns {
		columns[i].Priority = 1
	}
	return columns
}

// NameColumn is the first column of nearly every kind.
func NameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}
}

// AgeColumn is the time since creation.
func AgeColumn() metav1.TableColumnDefinition {
	return Column("Age", metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"])
}

// Columns is Name, the given ones, Age.
func Columns(between ...metav1.TableColumnDefinition) []metav1.TableColumnDefinition {
	out := append([]metav1.TableColumnDefinition{NameColumn()}, between...)
	return append(out, AgeColumn())
}

// ContainerColumns are the wide columns of the kinds with a pod template.
func ContainerColumns(selector string) []metav1.TableColumnDefinition {
	out := []metav1.TableColumnDefinition{
		Column("Containers", "Names of each container in the template."),
		Column("Images", "Images referenced by each container in the template."),
	}
	if selector != "" {
		out = append(out, Column("Selector", selector))
	}
	return Wide(out...)
}

// Cells makes a function of a concrete type fit api.Kind.
func Cells[T any, P Ptr[T]](f func(o P, now time.Time) []any) func(api.Object, time.Time) []any {
	return func(o api.Object, now time.Time) []any { return f(o.(P), now) }
}

// Ago is the time since t for people: "5m", or <unknown>.
func Ago(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

// Age is the time since o was made.
func Age(o metav1.Object, now time.Time) string { return Ago(o.GetCreationTimestamp(), now) }

// Or is s, or none when s is empty.
func Or(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

// Deref is *p, or none.
func Deref[T any](p *T, none T) T {
	if p == nil {
		return none
	}
	return *p
}

// Images lists names and images of containers for two cells.
func Images(containers []corev1.Container) (names, images string) {
	n, i := make([]string, len(containers)), make([]string, len(containers))
	for c := range containers {
		n[c], i[c] = containers[c].Name, containers[c].Image
	}
	return strings.Join(n, ","), strings.Join(i, ",")
}

// CreatedAtColumns are those of the kinds that no table was ever designed for: Name and Created At.
func CreatedAtColumns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{NameColumn(), {
		Name: "Created At", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]}}
}

// CreatedAtCells fill CreatedAtColumns.
func CreatedAtCells(o api.Object, _ time.Time) []any {
	return []any{o.GetName(), o.GetCreationTimestamp().UTC().Format(time.RFC3339)}
}
