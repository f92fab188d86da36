package apiextensions

import (
	"crypto/x509"
	"net/url"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// conversion checks how versions are converted.
func conversion(p *field.Path, s *apiextensionsv1.CustomResourceDefinitionSpec) field.ErrorList {
	c := s.Conversion
	if c == nil {
		return nil
	}
	errs := check.OneOf(p.Child("strategy"), c.Strategy, apiextensionsv1.NoneConverter, apiextensionsv1.WebhookConverter)
	config, reviews := p.Child("webhookClientConfig"), p.Child("conversionReviewVersions")
	if c.Strategy != apiextensionsv1.WebhookConverter {
		if c.Webhook != nil && c.Webhook.ClientConfig != nil {
			errs = append(errs, field.Forbidden(config, "should not be set when strategy is not set to Webhook"))
		}
		if c.Webhook != nil && len(c.Webhook.ConversionReviewVersions) > 0 {
			errs = append(errs, field.Forbidden(reviews, "should not be set when strategy is not set to Webhook"))
		}
		return errs
	}
	if s.PreserveUnknownFields {
		errs = append(errs, field.Invalid(p.Child("strategy"), c.Strategy, "must be None if spec.preserveUnknownFields is true"))
	}
	if c.Webhook == nil {
		return append(errs, field.Required(config, "required when strategy is set to Webhook"), field.Required(reviews, ""))
	}
	errs = append(errs, clientConfig(config, c.Webhook.ClientConfig)...)
	return append(errs, reviewVersions(reviews, c.Webhook.ConversionReviewVersions)...)
}

func clientConfig(p *field.Path, c *apiextensionsv1.WebhookClientConfig) field.ErrorList {
	switch {
	case c == nil:
		return check.One(field.Required(p, "required when strategy is set to Webhook"))
	case (c.URL == nil) == (c.Service == nil):
		return check.One(field.Required(p, "exactly one of url or service is required"))
	case c.URL != nil:
		return hookURL(p.Child("url"), *c.URL)
	}
	s, p := c.Service, p.Child("service")
	errs := check.Join(check.Present(p.Child("name"), s.Name), check.Present(p.Child("namespace"), s.Namespace))
	if s.Port != nil {
		errs = append(errs, check.Port(p.Child("port"), *s.Port)...)
	}
	if s.Path != nil {
		errs = append(errs, hookPath(p.Child("path"), *s.Path)...)
	}
	return errs
}

func hookURL(p *field.Path, v string) field.ErrorList {
	const form = "; desired format: https://host[/path]"
	u, err := url.Parse(v)
	if err != nil {
		return check.One(field.Required(p, "url must be a valid URL: "+err.Error()+form))
	}
	var errs field.ErrorList
	if u.Scheme != "https" {
		errs = append(errs, field.Invalid(p, u.Scheme, "'https' is the only allowed URL scheme"+form))
	}
	if u.Host == "" {
		errs = append(errs, field.Invalid(p, u.Host, "host must be specified"+form))
	}
	if u.User != nil {
		errs = append(errs, field.Invalid(p, u.User.String(), "user information is not permitted in the URL"))
	}
	if u.Fragment != "" {
		errs = append(errs, field.Invalid(p, u.Fragment, "fragments are not permitted in the URL"))
	}
	if u.RawQuery != "" {
		errs = append(errs, field.Invalid(p, u.RawQuery, "query parameters are not permitted in the URL"))
	}
	return errs
}

func hookPath(p *field.Path, v string) field.ErrorList {
	if v == "" || v == "/" {
		return nil
	}
	if v[0] != '/' {
		return check.One(field.Invalid(p, v, "must start with a '/'"))
	}
	var errs field.ErrorList
	for part := range strings.SplitSeq(strings.TrimSuffix(v[1:], "/"), "/") {
		if part == "" {
			errs = append(errs, field.Invalid(p, v, "segments may not be empty"))
			continue
		}
		errs = append(errs, check.Invalid(p, v, validation.IsDNS1123Subdomain(part))...)
	}
	return errs
}

func reviewVersions(p *field.Path, list []string) field.ErrorList {
	if len(list) == 0 {
		return check.One(field.Required(p, ""))
	}
	var errs field.ErrorList
	for i, v := range list {
		if slices.Contains(list[:i], v) {
			errs = append(errs, field.Invalid(p.Index(i), v, "duplicate version"))
			continue
		}
		errs = append(errs, check.Invalid(p.Index(i), v, validation.IsDNS1035Label(v))...)
	}
	if !slices.Contains(list, "v1") && !slices.Contains(list, "v1beta1") {
		errs = append(errs, field.Invalid(p, list, "must include at least one of v1, v1beta1"))
	}
	return errs
}

// establishedBundle: a definition that is served must not come to trust nobody; until then somebody may still fill the
// bundle in.
func establishedBundle(p *field.Path, o, old *apiextensionsv1.CustomResourceDefinition) field.ErrorList {
	bundle := func(o *apiextensionsv1.CustomResourceDefinition) []byte {
		if c := o.Spec.Conversion; c != nil && c.Webhook != nil && c.Webhook.ClientConfig != nil {
			return c.Webhook.ClientConfig.CABundle
		}
		return nil
	}
	readable := func(b []byte) bool { return len(b) == 0 || x509.NewCertPool().AppendCertsFromPEM(b) }
	if b := bundle(o); !readable(b) && readable(bundle(old)) {
		return check.One(field.Invalid(p, string(b), "unable to load root certificates: no valid certificate data seen"))
	}
	return nil
}
