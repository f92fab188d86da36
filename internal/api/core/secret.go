package core

import (
	"encoding/json"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// Secret of the core group.
func Secret() *api.Kind {
	return &api.Kind{
		Kind: "Secret", Resource: "secrets",
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[corev1.Secret, corev1.SecretList](corev1.SchemeGroupVersion)},
		Default:        kit.On(secretDefault),
		Validate:       kit.To(secretValidate),
		ValidateUpdate: kit.ToBoth(secretValidateUpdate),
		PrepareUpdate: kit.OnBoth(func(o, old *corev1.Secret) {
			poddefault.SetZero(&o.Type, old.Type) // clients may leave it out, not change it
		}),
		Fields: map[string]func(api.Object) string{
			"type": kit.To(func(o *corev1.Secret) string { return string(o.Type) }),
		},
		Columns: kit.Columns(
			kit.Column("Type", corev1.Secret{}.SwaggerDoc()["type"]),
			kit.Column("Data", corev1.Secret{}.SwaggerDoc()["data"])),
		Cells: kit.Cells(func(o *corev1.Secret, now time.Time) []any {
			return []any{o.Name, string(o.Type), int64(len(o.Data)), kit.Age(o, now)}
		}),
	}
}

// secretDefault also moves stringData, which is write-only, into data.
func secretDefault(o *corev1.Secret) {
	poddefault.SetZero(&o.Type, corev1.SecretTypeOpaque)
	if len(o.StringData) > 0 {
		if o.Data == nil {
			o.Data = map[string][]byte{}
		}
		for k, v := range o.StringData {
			o.Data[k] = []byte(v)
		}
	}
	o.StringData = nil
}

func secretValidate(o *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	p := field.NewPath("data")
	size := 0
	for k, v := range o.Data {
		errs = append(errs, check.Invalid(p.Key(k), k, validation.IsConfigMapKey(k))...)
		size += len(v)
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(p, "", corev1.MaxSecretSize))
	}
	need := func(keys ...string) {
		for _, k := range keys {
			if _, ok := o.Data[k]; !ok {
				errs = append(errs, field.Required(p.Key(k), ""))
			}
		}
	}
	needJSON := func(k string) {
		need(k)
		if v, ok := o.Data[k]; ok {
			if err := json.Unmarshal(v, &map[string]any{}); err != nil {
				errs = append(errs, field.Invalid(p.Key(k), "<secret contents redacted>", err.Error()))
			}
		}
	}
	switch o.Type {
	case corev1.SecretTypeServiceAccountToken:
		if o.Annotations[corev1.ServiceAccountNameKey] == "" {
			errs = append(errs, field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), ""))
		}
	case corev1.SecretTypeDockercfg:
		needJSON(corev1.DockerConfigKey)
	case corev1.SecretTypeDockerConfigJson:
		needJSON(corev1.DockerConfigJsonKey)
	case corev1.SecretTypeBasicAuth:
		_, user := o.Data[corev1.BasicAuthUsernameKey]
		if _, password := o.Data[corev1.BasicAuthPasswordKey]; !user && !password {
			need(corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
		}
	case corev1.SecretTypeSSHAuth:
		if len(o.Data[corev1.SSHAuthPrivateKey]) == 0 {
			errs = append(errs, field.Required(p.Key(corev1.SSHAuthPrivateKey), ""))
		}
	case corev1.SecretTypeTLS:
		need(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return errs
}

func secretValidateUpdate(o, old *corev1.Secret) field.ErrorList {
	errs := check.Immutable(field.NewPath("type"), o.Type, old.Type)
	if old.Immutable == nil || !*old.Immutable {
		return errs
	}
	if o.Immutable == nil || !*o.Immutable {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), immutableSet))
	}
	if !reflect.DeepEqual(o.Data, old.Data) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), immutableSet))
	}
	return errs
}
