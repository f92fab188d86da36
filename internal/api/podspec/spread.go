package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func spread(p *field.Path, constraints []corev1.TopologySpreadConstraint) field.ErrorList {
	var errs field.ErrorList
	for i := range constraints {
		c, ip := &constraints[i], p.Index(i)
		if c.MaxSkew <= 0 {
			errs = append(errs, field.Invalid(ip.Child("maxSkew"), c.MaxSkew, check.NotPositive))
		}
		if c.TopologyKey == "" {
			errs = append(errs, field.Required(ip.Child("topologyKey"), "can not be empty"))
		}
		errs = append(errs, check.Supported(ip.Child("whenUnsatisfiable"), c.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)...)
		for j := i + 1; j < len(constraints); j++ {
			if o := &constraints[j]; o.TopologyKey == c.TopologyKey && o.WhenUnsatisfiable == c.WhenUnsatisfiable {
				errs = append(errs, field.Duplicate(ip.Child("{topologyKey, whenUnsatisfiable}"), fmt.Sprintf("{%v, %v}", c.TopologyKey, c.WhenUnsatisfiable)))
				break
			}
		}
		if c.MinDomains != nil {
			if *c.MinDomains <= 0 {
				errs = append(errs, field.Invalid(ip.Child("minDomains"), c.MinDomains, check.NotPositive))
			}
			if c.WhenUnsatisfiable != corev1.DoNotSchedule {
				errs = append(errs, field.Invalid(ip.Child("minDomains"), c.MinDomains,
					fmt.Sprintf("can only use minDomains if whenUnsatisfiable=%s, not %s", corev1.DoNotSchedule, c.WhenUnsatisfiable)))
			}
		}
		errs = append(errs, check.Join(
			check.OptionalOf(ip.Child("nodeAffinityPolicy"), c.NodeAffinityPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore),
			check.OptionalOf(ip.Child("nodeTaintsPolicy"), c.NodeTaintsPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore),
			spreadKeys(ip.Child("matchLabelKeys"), c),
			check.Selector(ip.Child("labelSelector"), c.LabelSelector))...)
	}
	return errs
}

func spreadKeys(p *field.Path, c *corev1.TopologySpreadConstraint) field.ErrorList {
	if len(c.MatchLabelKeys) == 0 {
		return nil
	}
	if c.LabelSelector == nil {
		return check.One(field.Forbidden(p, "must not be specified when labelSelector is not set"))
	}
	var errs field.ErrorList
	twice := selectedTwice(c.LabelSelector)
	for i, k := range c.MatchLabelKeys {
		errs = append(errs, check.LabelName(p.Index(i), k)...)
		if twice[k] {
			errs = append(errs, field.Invalid(p.Index(i), k, "exists in both matchLabelKeys and labelSelector"))
		}
	}
	return errs
}
