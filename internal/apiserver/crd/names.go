package crd

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// taken are the names in a group that other definitions have.
type taken struct{ resources, kinds map[string]bool }

func takenBy(others []*apiextensionsv1.CustomResourceDefinition) taken {
	t := taken{map[string]bool{}, map[string]bool{}}
	for _, o := range others {
		n := &o.Status.AcceptedNames
		for _, name := range append([]string{n.Plural, n.Singular}, n.ShortNames...) {
			t.resources[name] = true
		}
		t.kinds[n.Kind], t.kinds[n.ListKind] = true, true
	}
	return t
}

// name accepts the name wanted unless somebody else has it; what was accepted before stays then.
func name(have *string, want string, taken map[string]bool) error {
	if want != *have && taken[want] {
		return fmt.Errorf("%q is already in use", want)
	}
	*have = want
	return nil
}

// acceptNames settles which of the names o asks for it gets, and the conditions that say so. o is the caller's to change.
func acceptNames(o *apiextensionsv1.CustomResourceDefinition, t taken) {
	want, have := &o.Spec.Names, &o.Status.AcceptedNames
	accepted := apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.NamesAccepted, Status: apiextensionsv1.ConditionTrue, Reason: "NoConflicts", Message: "no conflicts found"}
	refuse := func(reason string, err error) {
		if err != nil {
			accepted.Status, accepted.Reason, accepted.Message = apiextensionsv1.ConditionFalse, reason, err.Error()
		}
	}
	refuse("PluralConflict", name(&have.Plural, want.Plural, t.resources))
	refuse("SingularConflict", name(&have.Singular, want.Singular, t.resources))
	refuse("ShortNamesConflict", shortNames(have, want.ShortNames, t.resources))
	refuse("KindConflict", name(&have.Kind, want.Kind, t.kinds))
	refuse("ListKindConflict", name(&have.ListKind, want.ListKind, t.kinds))
	have.Categories = want.Categories
	apihelpers.SetCRDCondition(o, accepted)
	if apihelpers.IsCRDConditionTrue(o, apiextensionsv1.Established) {
		return
	}
	established := apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionFalse, Reason: "NotAccepted", Message: "not all names are accepted"}
	if accepted.Status == apiextensionsv1.ConditionTrue {
		established.Reason, established.Message = "Installing", "the initial names have been accepted"
	}
	apihelpers.SetCRDCondition(o, established)
}

func shortNames(have *apiextensionsv1.CustomResourceDefinitionNames, want []string, taken map[string]bool) error {
	var errs []error
	for _, s := range want {
		if taken[s] && !slices.Contains(have.ShortNames, s) {
			errs = append(errs, fmt.Errorf("%q is already in use", s))
		}
	}
	if len(errs) == 0 {
		have.ShortNames = want
	}
	return errors.Join(errs...)
}

// establish says that o is served, or why it cannot be.
func establish(o *apiextensionsv1.CustomResourceDefinition) {
	c := apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue, Reason: "InitialNamesAccepted", Message: "the initial names have been accepted"}
	if w := o.Spec.Conversion; w != nil && w.Webhook != nil && w.Webhook.ClientConfig != nil {
		if ca := w.Webhook.ClientConfig.CABundle; len(ca) > 0 && !x509.NewCertPool().AppendCertsFromPEM(ca) {
			c.Status, c.Reason, c.Message = apiextensionsv1.ConditionFalse, "InvalidCABundle", "The conversion webhook CABundle is invalid"
		}
	}
	apihelpers.SetCRDCondition(o, c)
}

// approve says whether a definition in a community group bears its approval (KEP-1111).
func approve(o *apiextensionsv1.CustomResourceDefinition) {
	if !apihelpers.IsProtectedCommunityGroup(o.Spec.Group) {
		return
	}
	state, text := apihelpers.GetAPIApprovalState(o.Annotations)
	c := apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.KubernetesAPIApprovalPolicyConformant, Status: apiextensionsv1.ConditionFalse, Reason: "InvalidAnnotation", Message: text}
	switch state {
	case apihelpers.APIApprovalMissing:
		c.Reason = "MissingAnnotation"
	case apihelpers.APIApproved:
		c.Status, c.Reason = apiextensionsv1.ConditionTrue, "ApprovedAnnotation"
	case apihelpers.APIApprovalBypassed:
		c.Reason = "UnapprovedAnnotation"
	}
	apihelpers.SetCRDCondition(o, c)
}

// terminating is the condition of a definition that is being deleted.
func terminating(o *apiextensionsv1.CustomResourceDefinition, status apiextensionsv1.ConditionStatus, reason, message string) {
	apihelpers.SetCRDCondition(o, apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.Terminating, Status: status, Reason: reason, Message: message})
}
