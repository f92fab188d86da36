package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/dhow-project/dhow/internal/x/fault"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// classify gives a registry's error a kind and says what to do about it.
func classify(repo string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var te *ggcr.Error
	var cert *tls.CertificateVerificationError
	var ne net.Error
	switch {
	case errors.As(err, &te):
		return status(repo, te)
	case errors.As(err, &cert):
		return fault.New(fault.Unavailable, "%s: %w: add its CA to the registry's configuration, or mark it insecure", repo, err)
	case fault.Of(err) != fault.Internal:
		return err
	case errors.As(err, &ne):
		return fault.New(fault.Unavailable, "%s: %w", repo, err)
	}
	return fmt.Errorf("%s: %w", repo, err)
}

func status(repo string, te *ggcr.Error) error {
	switch {
	case te.StatusCode == http.StatusUnauthorized || te.StatusCode == http.StatusForbidden:
		return fault.New(fault.Denied, "%s: access denied or it does not exist (it may need a login): %w", repo, te)
	case te.StatusCode == http.StatusNotFound:
		return fault.New(fault.NotFound, "%s: %w", repo, te)
	case te.StatusCode == http.StatusTooManyRequests:
		return fault.New(fault.Unavailable, "%s: too many requests, try again later or log in: %w", repo, te)
	case te.StatusCode >= 500:
		return fault.New(fault.Unavailable, "%s: %w", repo, te)
	case te.StatusCode == 0:
		return fmt.Errorf("%s: %w", repo, te)
	}
	return fault.New(fault.Invalid, "%s: %w", repo, te)
}
