// Checks with the EST client of github.com/globalsign/est. Prints `ok NAME` or `fail NAME: WHY`.
//
//	globalsign-est HOST:PORT CAFILE DEVICE TOKEN
//
// The token must be good for two certificates of the device.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/globalsign/est"
)

const limit = 20 * time.Second

var (
	host, caFile, device, token = os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	roots                       = x509.NewCertPool()
	issuers                     = x509.NewCertPool()
	certificate                 *x509.Certificate
	key                         *ecdsa.PrivateKey
)

func client(password string) *est.Client {
	return &est.Client{Host: host, ExplicitAnchor: roots, Username: device, Password: password, DisableKeepAlives: true}
}

func request() (*ecdsa.PrivateKey, *x509.CertificateRequest, error) {
	fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: device}}, fresh)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParseCertificateRequest(der)
	return fresh, parsed, err
}

func accept(issued *x509.Certificate, own *ecdsa.PrivateKey) error {
	if issued.Subject.CommonName != device {
		return fmt.Errorf("it is for %s", issued.Subject)
	}
	if own != nil && !own.PublicKey.Equal(issued.PublicKey) {
		return errors.New("it is for another key")
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	_, err := issued.Verify(x509.VerifyOptions{Roots: roots, Intermediates: issuers, KeyUsages: usages})
	return err
}

func cacerts(ctx context.Context) error {
	found, err := client("").CACerts(ctx)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("there are none")
	}
	for _, each := range found {
		issuers.AddCert(each)
	}
	return nil
}

func csrattrs(ctx context.Context) error {
	found, err := client("").CSRAttrs(ctx)
	if err != nil {
		return err
	}
	if len(found.OIDs)+len(found.Attributes) == 0 {
		return errors.New("nothing is asked for")
	}
	return nil
}

func enroll(ctx context.Context) error {
	fresh, asked, err := request()
	if err != nil {
		return err
	}
	issued, err := client(token).Enroll(ctx, asked)
	if err != nil {
		return err
	}
	certificate, key = issued, fresh
	return accept(issued, fresh)
}

func reenroll(ctx context.Context) error {
	if certificate == nil {
		return errors.New("there is nothing to renew")
	}
	fresh, asked, err := request()
	if err != nil {
		return err
	}
	with := client("")
	with.Username = ""
	found, err := with.CACerts(ctx)
	if err != nil {
		return err
	}
	// The chain goes with it: nearest issuer first, without the root.
	with.Certificates = []*x509.Certificate{certificate}
	for _, each := range found {
		if certificate.CheckSignatureFrom(each) == nil && each.CheckSignatureFrom(each) != nil {
			with.Certificates = append(with.Certificates, each)
		}
	}
	with.PrivateKey = key
	issued, err := with.Reenroll(ctx, asked)
	if err != nil {
		return err
	}
	if issued.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
		return errors.New("it is the same certificate")
	}
	return accept(issued, fresh)
}

func serverkeygen(ctx context.Context) error {
	_, asked, err := request()
	if err != nil {
		return err
	}
	issued, pkcs8, err := client(token).ServerKeyGen(ctx, asked)
	if err != nil {
		return err
	}
	made, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return err
	}
	own, ok := made.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("the key is a %T", made)
	}
	return accept(issued, own)
}

func refused(ctx context.Context) error {
	_, asked, err := request()
	if err != nil {
		return err
	}
	_, err = client("hgt_00000000000000000000000000000000").Enroll(ctx, asked)
	var told est.Error
	if !errors.As(err, &told) || told.StatusCode() != 401 {
		return fmt.Errorf("instead of 401: %v", err)
	}
	return nil
}

func main() {
	pem, err := os.ReadFile(caFile)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Println("fail trust: no certificate in", caFile)
		os.Exit(1)
	}
	checks := []struct {
		name string
		run  func(context.Context) error
	}{
		{"cacerts", cacerts},
		{"csrattrs", csrattrs},
		{"simpleenroll", enroll},
		{"simplereenroll", reenroll},
		{"serverkeygen", serverkeygen},
		{"a wrong token is refused", refused},
	}
	for _, check := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		if err := check.run(ctx); err != nil {
			fmt.Printf("fail %s: %s\n", check.name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok", check.name)
		}
		cancel()
	}
	fmt.Println("@end")
}
