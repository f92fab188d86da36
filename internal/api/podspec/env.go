package podspec

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func (s *scope) env(p *field.Path, vars []corev1.EnvVar) field.ErrorList {
	var errs field.ErrorList
	for i := range vars {
		v, ip := &vars[i], p.Index(i)
		if v.Name == "" {
			errs = append(errs, field.Required(ip.Child("name"), ""))
		} else {
			errs = append(errs, check.Invalid(ip.Child("name"), v.Name, validation.IsRelaxedEnvVarName(v.Name))...)
		}
		if v.ValueFrom != nil {
			errs = append(errs, s.envSource(ip.Child("valueFrom"), v)...)
		}
	}
	return errs
}

func (s *scope) envSource(p *field.Path, v *corev1.EnvVar) field.ErrorList {
	var errs field.ErrorList
	n, from := 0, v.ValueFrom
	if from.FieldRef != nil {
		n++
		errs = append(errs, fieldRef(p.Child("fieldRef"), from.FieldRef, envFields())...)
	}
	if from.ResourceFieldRef != nil {
		n++
		errs = append(errs, resourceRef(p.Child("resourceFieldRef"), from.ResourceFieldRef, false)...)
	}
	if r := from.ConfigMapKeyRef; r != nil {
		n++
		errs = append(errs, keyRef(p.Child("configMapKeyRef"), r.Name, r.Key)...)
	}
	if r := from.SecretKeyRef; r != nil {
		n++
		errs = append(errs, keyRef(p.Child("secretKeyRef"), r.Name, r.Key)...)
	}
	if r := from.FileKeyRef; r != nil {
		n++
		errs = append(errs, s.fileRef(p.Child("fileKeyRef"), r)...)
	}
	switch {
	case n == 0:
		errs = append(errs, field.Invalid(p, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
	case v.Value != "":
		errs = append(errs, field.Invalid(p, "", "may not be specified when `value` is not empty"))
	case n > 1:
		errs = append(errs, field.Invalid(p, "", "may not have more than one field specified at a time"))
	}
	return errs
}

func keyRef(p *field.Path, name, key string) field.ErrorList {
	errs := check.DNSSubdomain(p.Child("name"), name)
	if key == "" {
		return append(errs, field.Required(p.Child("key"), ""))
	}
	return append(errs, check.Invalid(p.Child("key"), key, validation.IsConfigMapKey(key))...)
}

// fileRef is KEP-3721: a variable out of a file in an emptyDir.
func (s *scope) fileRef(p *field.Path, r *corev1.FileKeySelector) field.ErrorList {
	errs := check.Join(check.Present(p.Child("volumeName"), r.VolumeName), check.Present(p.Child("path"), r.Path), check.Present(p.Child("key"), r.Key))
	if r.Path != "" {
		errs = append(errs, check.VolumePath(p.Child("path"), r.Path)...)
	}
	if r.Key != "" {
		errs = append(errs, check.Invalid(p.Child("key"), r.Key, validation.IsEnvVarName(r.Key))...)
	}
	if v := s.volumes[r.VolumeName]; r.VolumeName != "" && (v == nil || v.EmptyDir == nil) {
		errs = append(errs, field.NotFound(p.Child("volumeName"), r.VolumeName))
	}
	return errs
}

func envFrom(p *field.Path, sources []corev1.EnvFromSource) field.ErrorList {
	var errs field.ErrorList
	for i, e := range sources {
		ip := p.Index(i)
		if e.Prefix != "" {
			errs = append(errs, check.Invalid(ip.Child("prefix"), e.Prefix, validation.IsRelaxedEnvVarName(e.Prefix))...)
		}
		switch {
		case e.ConfigMapRef != nil && e.SecretRef != nil:
			errs = append(errs, field.Invalid(p, "", "may not have more than one field specified at a time"))
		case e.ConfigMapRef != nil:
			errs = append(errs, objectName(ip.Child("configMapRef", "name"), e.ConfigMapRef.Name)...)
		case e.SecretRef != nil:
			errs = append(errs, objectName(ip.Child("secretRef", "name"), e.SecretRef.Name)...)
		default:
			errs = append(errs, field.Invalid(p, "", "must specify one of: `configMapRef` or `secretRef`"))
		}
	}
	return errs
}

func objectName(p *field.Path, name string) field.ErrorList {
	if name == "" {
		return check.One(field.Required(p, ""))
	}
	// A prefix is enough here, as it always was.
	return check.DNSSubdomain(p, strings.TrimSuffix(name, "-"))
}

// The fields of a pod that the downward API gives, sorted.
func envFields() []string {
	return []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
}

func volumeFields() []string {
	return []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
}

func resourceFields() []string {
	return []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"}
}

func fieldRef(p *field.Path, r *corev1.ObjectFieldSelector, allowed []string) field.ErrorList {
	switch {
	case r.APIVersion == "":
		return check.One(field.Required(p.Child("apiVersion"), ""))
	case r.FieldPath == "":
		return check.One(field.Required(p.Child("fieldPath"), ""))
	case r.APIVersion != "v1":
		return check.One(field.Invalid(p.Child("fieldPath"), r.FieldPath, fmt.Sprintf("error converting fieldPath: unsupported pod version: %s", r.APIVersion)))
	}
	path, key, ok := subscript(r.FieldPath)
	switch {
	case ok && path == "metadata.annotations":
		return check.QualifiedName(p, strings.ToLower(key))
	case ok && path == "metadata.labels":
		return check.QualifiedName(p, key)
	case ok && isDownward(path):
		return check.One(field.Invalid(p, path, "does not support subscript"))
	case !isDownward(path):
		return check.One(field.Invalid(p.Child("fieldPath"), r.FieldPath, fmt.Sprintf("error converting fieldPath: field label not supported: %s", r.FieldPath)))
	case !slices.Contains(allowed, path):
		return check.One(field.NotSupported(p.Child("fieldPath"), path, allowed))
	}
	return nil
}

// subscript splits metadata.labels['key'].
func subscript(path string) (before, key string, ok bool) {
	before, rest, ok := strings.Cut(path, "['")
	if !ok || !strings.HasSuffix(rest, "']") {
		return path, "", false
	}
	return before, strings.TrimSuffix(rest, "']"), true
}

func isDownward(path string) bool {
	return slices.Contains(envFields(), path) || slices.Contains(volumeFields(), path) ||
		path == "spec.restartPolicy" || path == "spec.schedulerName" || path == "status.phase"
}

func resourceRef(p *field.Path, r *corev1.ResourceFieldSelector, volume bool) field.ErrorList {
	var errs field.ErrorList
	huge := strings.HasPrefix(r.Resource, "requests.hugepages-") || strings.HasPrefix(r.Resource, "limits.hugepages-")
	switch {
	case volume && r.ContainerName == "":
		errs = append(errs, field.Required(p.Child("containerName"), ""))
	case r.Resource == "":
		errs = append(errs, field.Required(p.Child("resource"), ""))
	case !huge && !slices.Contains(resourceFields(), r.Resource):
		errs = append(errs, field.NotSupported(p.Child("resource"), r.Resource, resourceFields()))
	}
	if r.Divisor.IsZero() {
		return errs
	}
	const sizes = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
	allowed, what := sizes, ""
	switch _, name, _ := strings.Cut(r.Resource, "."); {
	case name == "cpu":
		if d := r.Divisor.String(); d != "1" && d != "1m" {
			errs = append(errs, field.Invalid(p.Child("divisor"), r.Resource, "only divisor's values 1m and 1 are supported with the cpu resource"))
		}
		return errs
	case name == "memory":
		what = "memory"
	case name == "ephemeral-storage":
		what = "local ephemeral storage"
	case huge:
		what = "hugepages"
	default:
		return errs
	}
	if !slices.Contains(strings.Split(allowed, ", "), r.Divisor.String()) {
		errs = append(errs, field.Invalid(p.Child("divisor"), r.Resource,
			fmt.Sprintf("only divisor's values %s are supported with the %s resource", sizes, what)))
	}
	return errs
}
