package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// LimitRange of the group core.
func LimitRange() *api.Kind {
	return &api.Kind{
		Kind: "LimitRange", Resource: "limitranges",
		ShortNames:     []string{"limits"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[corev1.LimitRange, corev1.LimitRangeList](corev1.SchemeGroupVersion)},
		CreateOnUpdate: true,
	}
}
