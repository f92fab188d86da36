package admissionregistration

import (
	"net/url"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// hook is what mutating and validating webhooks have in common; it points into the webhook.
type hook struct {
	name               string
	client             *admissionregistrationv1.WebhookClientConfig
	rules              []admissionregistrationv1.RuleWithOperations
	failure            **admissionregistrationv1.FailurePolicyType
	match              **admissionregistrationv1.MatchPolicyType
	namespaces, object **metav1.LabelSelector
	sideEffects        *admissionregistrationv1.SideEffectClass
	timeout            **int32
	reviews            []string
	conditions         []admissionregistrationv1.MatchCondition
}

func hookOfMutating(w *admissionregistrationv1.MutatingWebhook) hook {
	return hook{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}

func hookOfValidating(w *admissionregistrationv1.ValidatingWebhook) hook {
	return hook{w.Name, &w.ClientConfig, w.Rules, &w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector,
		w.SideEffects, &w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions}
}

// fill sets what is left out.
func (h hook) fill() {
	poddefault.Set(h.failure, admissionregistrationv1.Fail)
	poddefault.Set(h.match, admissionregistrationv1.Equivalent)
	poddefault.Set(h.namespaces, metav1.LabelSelector{})
	poddefault.Set(h.object, metav1.LabelSelector{})
	poddefault.Set(h.timeout, 10)
	for i := range h.rules {
		poddefault.Set(&h.rules[i].Scope, admissionregistrationv1.AllScopes)
	}
	if h.client.Service != nil {
		poddefault.Set(&h.client.Service.Port, 443)
	}
}

// check adds the hook's name to names.
func (h hook) check(p *field.Path, names map[string]bool) field.ErrorList {
	errs := validation.IsFullyQualifiedName(p.Child("name"), h.name)
	if names[h.name] {
		errs = append(errs, field.Duplicate(p.Child("name"), h.name))
	}
	names[h.name] = true
	errs = append(errs, check.Join(
		reviewVersions(p.Child("admissionReviewVersions"), h.reviews),
		ruleList(p.Child("rules"), h.rules),
		check.OptionalOf(p.Child("failurePolicy"), *h.failure, admissionregistrationv1.Fail, admissionregistrationv1.Ignore),
		check.OptionalOf(p.Child("matchPolicy"), *h.match, admissionregistrationv1.Equivalent, admissionregistrationv1.Exact),
		check.Selector(p.Child("namespaceSelector"), *h.namespaces),
		check.Selector(p.Child("objectSelector"), *h.object),
		clientConfig(p.Child("clientConfig"), h.client),
	)...)
	if h.sideEffects == nil {
		errs = append(errs, field.Required(p.Child("sideEffects"), "must specify one of None, NoneOnDryRun"))
	}
	errs = append(errs, check.OptionalOf(p.Child("sideEffects"), h.sideEffects, admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.SideEffectClassNoneOnDryRun)...)
	if t := *h.timeout; t != nil && (*t > 30 || *t < 1) {
		errs = append(errs, field.Invalid(p.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	errs = append(errs, conditionNames(p.Child("matchConditions"), h.conditions)...)
	return errs
}

func reviewVersions(p *field.Path, versions []string) field.ErrorList {
	if len(versions) == 0 {
		return check.One(field.Required(p, "must specify one of v1, v1beta1"))
	}
	var errs field.ErrorList
	known := false
	seen := map[string]bool{}
	for i, v := range versions {
		errs = append(errs, check.Invalid(p.Index(i), v, validation.IsDNS1035Label(v))...)
		if seen[v] {
			errs = append(errs, field.Invalid(p.Index(i), v, "duplicate version"))
		}
		seen[v] = true
		known = known || v == "v1" || v == "v1beta1"
	}
	if len(errs) == 0 && !known {
		errs = append(errs, field.Invalid(p, versions, "must include at least one of v1, v1beta1"))
	}
	return errs
}

func clientConfig(p *field.Path, c *admissionregistrationv1.WebhookClientConfig) field.ErrorList {
	if (c.URL == nil) == (c.Service == nil) {
		return check.One(field.Required(p, "exactly one of url or service is required"))
	}
	if c.URL != nil {
		u, err := url.Parse(*c.URL)
		switch {
		case err != nil:
			return check.One(field.Required(p.Child("url"), "url must be a valid URL: "+err.Error()+"; desired format: https://host[/path]"))
		case u.Scheme != "https":
			return check.One(field.Invalid(p.Child("url"), u.Scheme, "'https' is the only allowed URL scheme; desired format: https://host[/path]"))
		case u.Host == "":
			return check.One(field.Invalid(p.Child("url"), u.Host, "host must be specified; desired format: https://host[/path]"))
		case u.User != nil:
			return check.One(field.Invalid(p.Child("url"), u.User.String(), "user information is not permitted in the URL"))
		case u.Fragment != "":
			return check.One(field.Invalid(p.Child("url"), u.Fragment, "fragments are not permitted in the URL"))
		case u.RawQuery != "":
			return check.One(field.Invalid(p.Child("url"), u.RawQuery, "query parameters are not permitted in the URL"))
		}
		return nil
	}
	sp := p.Child("service")
	errs := check.Join(check.Present(sp.Child("name"), c.Service.Name), check.Present(sp.Child("namespace"), c.Service.Namespace))
	if c.Service.Port != nil {
		errs = append(errs, check.Port(sp.Child("port"), *c.Service.Port)...)
	}
	if f := c.Service.Path; f != nil && *f != "" && !strings.HasPrefix(*f, "/") {
		errs = append(errs, field.Invalid(sp.Child("path"), *f, "must start with a '/'"))
	}
	return errs
}
