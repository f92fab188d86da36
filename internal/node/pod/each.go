package pod

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

type kind uint8

const (
	initKind kind = iota
	mainKind
	ephemeralKind
)

// each visits the containers of the spec and every attempt the engine has of them, in a fixed order.
func each(p *state.Pod, spec func(*corev1.Container, kind), attempt func(*engine.Container)) {
	visit := func(c *corev1.Container, k kind) {
		spec(c, k)
		l := p.Engine[c.Name]
		for i := range l {
			attempt(&l[i])
		}
	}
	for i := range p.API.Spec.InitContainers {
		visit(&p.API.Spec.InitContainers[i], initKind)
	}
	for i := range p.API.Spec.Containers {
		visit(&p.API.Spec.Containers[i], mainKind)
	}
	for i := range p.API.Spec.EphemeralContainers {
		visit(state.Ephemeral(&p.API.Spec.EphemeralContainers[i]), ephemeralKind)
	}
}

// find returns the container of the spec with this name and what kind it is; nil when there is none.
func find(p *corev1.Pod, name string) (*corev1.Container, kind) {
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == name {
			return &p.Spec.Containers[i], mainKind
		}
	}
	for i := range p.Spec.InitContainers {
		if p.Spec.InitContainers[i].Name == name {
			return &p.Spec.InitContainers[i], initKind
		}
	}
	for i := range p.Spec.EphemeralContainers {
		if p.Spec.EphemeralContainers[i].Name == name {
			return state.Ephemeral(&p.Spec.EphemeralContainers[i]), ephemeralKind
		}
	}
	return nil, 0
}
