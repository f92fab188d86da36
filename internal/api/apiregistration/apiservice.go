package apiregistration

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// APIService of the group apiregistration.k8s.io: a group version and who serves it.
func APIService() *api.Kind {
	halves := kit.Split(
		func(o *apiregistrationv1.APIService) *apiregistrationv1.APIServiceSpec { return &o.Spec },
		func(o *apiregistrationv1.APIService) *apiregistrationv1.APIServiceStatus { return &o.Status })
	return &api.Kind{
		Kind: "APIService", Resource: "apiservices",
		Categories: []string{"api-extensions"},
		Versions:   []api.Version{kit.Served[apiregistrationv1.APIService, apiregistrationv1.APIServiceList](apiregistrationv1.SchemeGroupVersion)},
		Default: kit.On(func(o *apiregistrationv1.APIService) {
			if o.Spec.Service != nil {
				poddefault.Set(&o.Spec.Service.Port, 443)
			}
		}),
		PrepareCreate: kit.On(func(o *apiregistrationv1.APIService) {
			o.Status = apiregistrationv1.APIServiceStatus{}
			if o.Spec.Service == nil {
				o.Status.Conditions = []apiregistrationv1.APIServiceCondition{{
					Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue, Reason: "Local", Message: "Local APIServices are always available",
				}}
			}
		}),
		// "v1." is the core group's.
		ValidateName:  func(name string, _ bool) []string { return path.IsValidPathSegmentName(name) },
		PrepareUpdate: halves.KeepStatus,
		Validate:      kit.To(validate),
		Subresources:  []api.Subresource{{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpecAndMeta}},
		Columns: kit.Columns(
			kit.Column("Service", "The reference to the service that hosts this API endpoint."),
			kit.Column("Available", "Whether this service is available.")),
		Cells: kit.Cells(cells),
	}
}

func validate(o *apiregistrationv1.APIService) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if want := s.Version + "." + s.Group; o.Name != want {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.Name, fmt.Sprintf("must be `spec.version+\".\"+spec.group`: %q", want)))
	}
	if s.Group == "" {
		if s.Version != "v1" {
			errs = append(errs, field.Required(p.Child("group"), "only v1 may have an empty group and it better be legacy kube"))
		}
	} else {
		errs = append(errs, check.DNSSubdomain(p.Child("group"), s.Group)...)
	}
	errs = append(errs, check.DNSLabel(p.Child("version"), s.Version)...)
	for _, f := range []struct {
		name     string
		v, limit int32
	}{{"groupPriorityMinimum", s.GroupPriorityMinimum, 20000}, {"versionPriority", s.VersionPriority, 1000}} {
		if f.v <= 0 || f.v > f.limit {
			errs = append(errs, field.Invalid(p.Child(f.name), f.v, fmt.Sprintf("must be positive and less than %d", f.limit)))
		}
	}
	if s.Service == nil {
		if len(s.CABundle) > 0 {
			errs = append(errs, field.Invalid(p.Child("caBundle"), fmt.Sprintf("%d bytes", len(s.CABundle)), "local APIServices may not have a caBundle"))
		}
		if s.InsecureSkipTLSVerify {
			errs = append(errs, field.Invalid(p.Child("insecureSkipTLSVerify"), true, "local APIServices may not have insecureSkipTLSVerify"))
		}
		return errs
	}
	sp := p.Child("service")
	errs = append(errs, check.Join(check.Present(sp.Child("namespace"), s.Service.Namespace), check.Present(sp.Child("name"), s.Service.Name))...)
	if s.Service.Port != nil {
		errs = append(errs, check.Port(sp.Child("port"), *s.Service.Port)...)
	}
	if s.InsecureSkipTLSVerify && len(s.CABundle) > 0 {
		errs = append(errs, field.Invalid(p.Child("insecureSkipTLSVerify"), true, "may not be true if caBundle is present"))
	}
	return errs
}

func cells(o *apiregistrationv1.APIService, now time.Time) []any {
	service, available := "Local", "Unknown"
	if s := o.Spec.Service; s != nil {
		service = s.Namespace + "/" + s.Name
	}
	for _, c := range o.Status.Conditions {
		if c.Type == apiregistrationv1.Available {
			if available = string(c.Status); c.Status != apiregistrationv1.ConditionTrue {
				available = fmt.Sprintf("%s (%s)", c.Status, c.Reason)
			}
		}
	}
	return []any{o.Name, service, available, kit.Age(o, now)}
}
