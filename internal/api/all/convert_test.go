package all

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/randfill"

	"github.com/dhow-project/dhow/internal/api"
)

// TestConvertEvents: nothing of an event is lost on the way through the other group, as each has a
// place for every field of the other.
func TestConvertEvents(t *testing.T) {
	k := api.NewRegistry(Kinds()).Kind(schema.GroupKind{Kind: "Event"})
	for seed := range int64(50) {
		o := k.Hub().New()
		randfill.NewWithSeed(seed).NilChance(.3).Fill(o)
		there, err := k.Versions[1].FromHub(o)
		if err != nil {
			t.Fatal(err)
		}
		back, err := k.Versions[1].ToHub(there)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, back); d != "" {
			t.Fatal(d)
		}
	}
}

// TestConvertAutoscalers: v1 keeps in annotations what it has no fields for.
func TestConvertAutoscalers(t *testing.T) {
	k := api.NewRegistry(Kinds()).Kind(schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"})
	cpu := int32(50)
	in := &autoscalingv1.HorizontalPodAutoscaler{}
	in.Annotations = map[string]string{
		"a": "b",
		"autoscaling.alpha.kubernetes.io/metrics":  `[{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"10"}}}]`,
		"autoscaling.alpha.kubernetes.io/behavior": `{"scaleDown":{"stabilizationWindowSeconds":60}}`,
	}
	in.Spec.TargetCPUUtilizationPercentage = &cpu
	hub, err := k.Versions[1].ToHub(in)
	if err != nil {
		t.Fatal(err)
	}
	back, err := k.Versions[1].FromHub(hub)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, back); d != "" {
		t.Error(d)
	}
}
