package codec

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
)

// Stored encodes an object of k's hub version as it is kept in the store: the protobuf envelope,
// JSON for types without protobuf. The caller has emptied resourceVersion.
func Stored(k *api.Kind, obj api.Object) ([]byte, error) {
	f := Protobuf
	if !HasProto(obj) {
		f = JSON
	}
	return Object(f, k.GroupVersionKind(), obj)
}

// Load decodes what Stored, or an upstream server, wrote and converts it to the hub version.
func Load(k *api.Kind, data []byte) (api.Object, error) {
	if k.Custom != nil {
		return loadCustom(k, data)
	}
	if !IsProto(data) {
		return loadJSON(k, data)
	}
	gvk, body, err := OpenProto(data)
	if err != nil {
		return nil, err
	}
	v, err := version(k, gvk.Group, gvk.Version)
	if err != nil {
		return nil, err
	}
	obj := v.New()
	if err := UnmarshalProto(body, obj); err != nil {
		return nil, err
	}
	return toHub(v, obj)
}

// loadCustom leaves an object in the version it was stored in.
func loadCustom(k *api.Kind, data []byte) (api.Object, error) {
	u := &unstructured.Unstructured{}
	if _, _, err := decodeUnstructured(data, k.GroupVersionKind(), u); err != nil {
		return nil, err
	}
	k.Custom.Loaded(u)
	return u, nil
}

func loadJSON(k *api.Kind, data []byte) (api.Object, error) {
	gvk, err := KindOf(data)
	if err != nil {
		return nil, err
	}
	v, err := version(k, gvk.Group, gvk.Version)
	if err != nil {
		return nil, err
	}
	obj := v.New()
	if _, _, err := Decode(JSON, data, gvk, obj); err != nil {
		return nil, err
	}
	return toHub(v, obj)
}

func version(k *api.Kind, group, ver string) (api.Version, error) {
	for _, v := range k.Versions {
		if v.Group == group && v.Version == ver {
			return v, nil
		}
	}
	return api.Version{}, fmt.Errorf("stored version %s/%s of %s is not known", group, ver, k.Kind)
}

func toHub(v api.Version, obj api.Object) (api.Object, error) {
	if v.ToHub == nil {
		return obj, nil
	}
	return v.ToHub(obj)
}

// InVersion converts a hub object to version v.
func InVersion(v api.Version, hub api.Object) (runtime.Object, error) {
	if v.FromHub == nil {
		return hub, nil
	}
	return v.FromHub(hub)
}
