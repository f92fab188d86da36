package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CertificateSigningRequest of the group certificates.
func CertificateSigningRequest() *api.Kind {
	halves := kit.Split(
		func(o *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestSpec {
			return &o.Spec
		},
		func(o *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestStatus {
			return &o.Status
		})
	return &api.Kind{
		Kind: "CertificateSigningRequest", Resource: "certificatesigningrequests",
		ShortNames:    []string{"csr"},
		Versions:      []api.Version{kit.Served[certificatesv1.CertificateSigningRequest, certificatesv1.CertificateSigningRequestList](certificatesv1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Fields: map[string]func(api.Object) string{
			"spec.signerName": kit.To(func(o *certificatesv1.CertificateSigningRequest) string { return o.Spec.SignerName }),
		},
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: prepareStatus, Validate: kit.ToBoth(validateStatus)},
			{Name: "approval", Verbs: kit.ReadWrite, Prepare: prepareApproval, Validate: kit.ToBoth(validateApproval)},
		},
		Validate: kit.To(csrValidate),
		ValidateUpdate: kit.ToBoth(func(o, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
			return check.Immutable(field.NewPath("spec"), o.Spec, old.Spec)
		}),
		Columns: csrColumns(),
		Cells:   kit.Cells(csrCells),
	}
}

func csrValidate(o *certificatesv1.CertificateSigningRequest) field.ErrorList {
	p := field.NewPath("spec")
	var errs field.ErrorList
	if len(o.Spec.Request) == 0 {
		errs = append(errs, field.Required(p.Child("request"), "request is required"))
	} else if err := parseRequest(o.Spec.Request); err != nil {
		errs = append(errs, field.Invalid(p.Child("request"), o.Spec.Request, err.Error()))
	}
	if len(o.Spec.Usages) == 0 {
		errs = append(errs, field.Required(p.Child("usages"), "usages is required"))
	}
	seen := map[certificatesv1.KeyUsage]bool{}
	for i, u := range o.Spec.Usages {
		errs = append(errs, check.Supported(p.Child("usages").Index(i), u, usages()...)...)
		if seen[u] {
			errs = append(errs, field.Duplicate(p.Child("usages").Index(i), u))
		}
		seen[u] = true
	}
	errs = append(errs, signerName(p.Child("signerName"), o.Spec.SignerName)...)
	if e := o.Spec.ExpirationSeconds; e != nil && *e < 600 {
		errs = append(errs, field.Invalid(p.Child("expirationSeconds"), *e, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	return errs
}

func parseRequest(data []byte) error {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	_, err := x509.ParseCertificateRequest(block.Bytes)
	return err
}

func usages() []certificatesv1.KeyUsage {
	return []certificatesv1.KeyUsage{
		certificatesv1.UsageAny, certificatesv1.UsageCRLSign, certificatesv1.UsageCertSign, certificatesv1.UsageClientAuth, certificatesv1.UsageCodeSigning,
		certificatesv1.UsageContentCommitment, certificatesv1.UsageDataEncipherment, certificatesv1.UsageDecipherOnly, certificatesv1.UsageDigitalSignature,
		certificatesv1.UsageEmailProtection, certificatesv1.UsageEncipherOnly, certificatesv1.UsageIPsecEndSystem, certificatesv1.UsageIPsecTunnel,
		certificatesv1.UsageIPsecUser, certificatesv1.UsageKeyAgreement, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageMicrosoftSGC,
		certificatesv1.UsageNetscapeSGC, certificatesv1.UsageOCSPSigning, certificatesv1.UsageSMIME, certificatesv1.UsageServerAuth,
		certificatesv1.UsageSigning, certificatesv1.UsageTimestamping,
	}
}

// signerName wants a domain, a slash and a path.
func signerName(p *field.Path, name string) field.ErrorList {
	if name == "" {
		return check.One(field.Required(p, ""))
	}
	domain, path, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(path, "/") {
		return check.One(field.Invalid(p, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'"))
	}
	errs := check.Invalid(p, domain, validation.IsDNS1123Subdomain(domain))
	if !strings.Contains(domain, ".") {
		errs = append(errs, field.Invalid(p, domain, "should be a domain with at least two segments separated by dots"))
	}
	return append(errs, check.Invalid(p, path, validation.IsDNS1123Subdomain(path))...)
}

func csrColumns() []metav1.TableColumnDefinition {
	d := certificatesv1.CertificateSigningRequestSpec{}.SwaggerDoc()
	return []metav1.TableColumnDefinition{
		kit.NameColumn(), kit.AgeColumn(), kit.Column("SignerName", d["signerName"]), kit.Column("Requestor", d["request"]),
		kit.Column("RequestedDuration", d["expirationSeconds"]),
		kit.Column("Condition", certificatesv1.CertificateSigningRequestStatus{}.SwaggerDoc()["conditions"]),
	}
}

func csrCells(o *certificatesv1.CertificateSigningRequest, now time.Time) []any {
	has := map[certificatesv1.RequestConditionType]bool{}
	for _, c := range o.Status.Conditions {
		has[c.Type] = true
	}
	status := "Pending"
	switch {
	case has[certificatesv1.CertificateDenied]:
		status = "Denied"
	case has[certificatesv1.CertificateApproved]:
		status = "Approved"
	}
	if has[certificatesv1.CertificateFailed] {
		status += ",Failed"
	}
	if len(o.Status.Certificate) > 0 {
		status += ",Issued"
	}
	lasts := "<none>"
	if e := o.Spec.ExpirationSeconds; e != nil {
		lasts = duration.HumanDuration(time.Duration(*e) * time.Second)
	}
	return []any{o.Name, kit.Age(o, now), kit.Or(o.Spec.SignerName, "<none>"), o.Spec.Username, lasts, status}
}
