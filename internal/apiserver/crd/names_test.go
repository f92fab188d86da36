package crd

import (
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestAcceptNames(t *testing.T) {
	theirs := &apiextensionsv1.CustomResourceDefinition{Status: apiextensionsv1.CustomResourceDefinitionStatus{
		AcceptedNames: apiextensionsv1.CustomResourceDefinitionNames{Plural: "ships", Singular: "ship", ShortNames: []string{"sh"}, Kind: "Ship", ListKind: "ShipList"}}}
	for name, tc := range map[string]struct {
		want, have apiextensionsv1.CustomResourceDefinitionNames
		reason     string
		installed  string // reason of Established
	}{
		"free":       {want: apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Singular: "boat", Kind: "Boat", ListKind: "BoatList"}, reason: "NoConflicts", installed: "Installing"},
		"plural":     {want: apiextensionsv1.CustomResourceDefinitionNames{Plural: "sh", Singular: "boat", Kind: "Boat", ListKind: "BoatList"}, reason: "PluralConflict", installed: "NotAccepted"},
		"short name": {want: apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Singular: "boat", ShortNames: []string{"b", "ship"}, Kind: "Boat", ListKind: "BoatList"}, reason: "ShortNamesConflict", installed: "NotAccepted"},
		"kind":       {want: apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Singular: "boat", Kind: "ShipList", ListKind: "BoatList"}, reason: "KindConflict", installed: "NotAccepted"},
		"own name again": {want: apiextensionsv1.CustomResourceDefinitionNames{Plural: "ships", Singular: "boat", Kind: "Boat", ListKind: "BoatList"},
			have: apiextensionsv1.CustomResourceDefinitionNames{Plural: "ships"}, reason: "NoConflicts", installed: "Installing"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &apiextensionsv1.CustomResourceDefinition{}
			o.Spec.Names, o.Status.AcceptedNames = tc.want, tc.have
			acceptNames(o, takenBy([]*apiextensionsv1.CustomResourceDefinition{theirs}))
			if c := apihelpers.FindCRDCondition(o, apiextensionsv1.NamesAccepted); c.Reason != tc.reason {
				t.Errorf("NamesAccepted: %s %s", c.Reason, c.Message)
			}
			if c := apihelpers.FindCRDCondition(o, apiextensionsv1.Established); c.Status != apiextensionsv1.ConditionFalse || c.Reason != tc.installed {
				t.Errorf("Established: %s %s", c.Status, c.Reason)
			}
			establish(o)
			if !apihelpers.IsCRDConditionTrue(o, apiextensionsv1.Established) {
				t.Error("not established")
			}
		})
	}
}
