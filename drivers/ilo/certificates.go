package ilo

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// longestCertificates is how large a file of certificates may be, in bytes.
const longestCertificates = 1 << 20

// certificateSteps are those of cleaning that give an iLO a certificate of its own. Each may run twice.
func (m *Management) certificateSteps() []drivers.Step {
	return []drivers.Step{
		{Interface: drivers.TypeManagement, Name: "create_csr", RequiresRamdisk: true, Run: m.createCSR,
			Args: map[string]drivers.StepArg{"csr_params": {Required: true, Description: "This arguments represents the information needed to create " +
				"the CSR certificate. The keys to be provided are City, CommonName, OrgName, State."}}},
		{Interface: drivers.TypeManagement, Name: "add_https_certificate", RequiresRamdisk: true, Run: m.addCertificate,
			Args: map[string]drivers.StepArg{"cert_file": {Required: true, Description: "This argument represents the path to the signed HTTPS " +
				"certificate which will be added to the iLO."}}},
	}
}

// httpsCert is an iLO's own certificate (HpeHttpsCert).
type httpsCert struct {
	path                      string
	CertificateSigningRequest string
	Actions                   map[string]struct {
		Target string `json:"target"`
	}
}

func readHTTPSCert(s *redfish.System) (*httpsCert, error) {
	var service struct{ Links map[string]hpLink }
	err := s.Read(securityAt, &service)
	path := service.Links["HttpsCert"].path()
	if redfish.Refused(err) == http.StatusNotFound || err == nil && path == "" {
		return nil, &lacking{"the iLO does not show its certificate"}
	}
	if err != nil {
		return nil, err
	}
	c := &httpsCert{path: path}
	return c, s.Read(path, c)
}

func (c *httpsCert) act(s *redfish.System, action string, payload any) error {
	target := c.Actions["#HpeHttpsCert."+action].Target
	if target == "" {
		return reason(fmt.Sprintf("The attribute #HpeHttpsCert.%s is missing from the resource %s", action, c.path))
	}
	_, err := s.Act(target, payload)
	return err
}

// createCSR has the iLO make a request for a certificate, and puts it into [ilo]cert_path.
func (m *Management) createCSR(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	request := ""
	err := m.carryOut(ctx, t, "create_csr", func(s *redfish.System) error {
		cert, err := readHTTPSCert(s)
		if err != nil {
			return err
		}
		if err := cert.act(s, "GenerateCSR", args.Dict("csr_params")); err != nil {
			return err
		}
		t.Worker.Report(t, drivers.Progress{Doing: "waiting for the iLO's request for a certificate", Waiting: true})
		there, err := s.Await(m.cfg.CSRTimeout, m.cfg.CSRPause, func() bool {
			fresh, err := readHTTPSCert(s)
			if err == nil {
				request = fresh.CertificateSigningRequest
			}
			return request != ""
		})
		if err == nil && !there {
			err = reason("Generating CSR has failed.")
		}
		return err
	})
	if err != nil || request == "" {
		return drivers.Done, err
	}
	folder := filepath.Join(m.cfg.CertPath, t.Node.UUID)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return drivers.Done, fmt.Errorf("keeping the request for a certificate: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, t.Node.UUID+".csr"), []byte(request), 0o644); err != nil {
		return drivers.Done, fmt.Errorf("keeping the request for a certificate: %w", err)
	}
	return drivers.Done, nil
}

// addCertificate gives the iLO the certificate that a user has got for its request, and waits until it has restarted.
func (m *Management) addCertificate(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	href := args.String("cert_file")
	scheme, _, hasScheme := strings.Cut(href, ":")
	switch {
	case !hasScheme:
		href = "file://" + href
	case scheme != "http" && scheme != "https" && scheme != "file":
		return drivers.Done, notSupported("clean step", fmt.Sprintf("The url scheme %s not supported with clean step add_https_certificate", scheme))
	}
	certificate, err := m.fetchCertificate(ctx, t, href)
	if err != nil {
		return drivers.Done, err
	}
	return drivers.Done, m.carryOut(ctx, t, "add_https_certificate", func(s *redfish.System) error {
		cert, err := readHTTPSCert(s)
		if err != nil {
			return err
		}
		if err := cert.act(s, "ImportCertificate", map[string]string{"Certificate": certificate}); err != nil {
			return err
		}
		return m.awaitILO(ctx, s, t)
	})
}

// fetchCertificate is the first certificate in a file, with the line ends that an iLO wants.
func (m *Management) fetchCertificate(ctx context.Context, t *drivers.Task, href string) (certificate string, err error) {
	files := m.bmcs.FirmwareFiles()
	if files == nil {
		return "", errors.New("this worker fetches no files")
	}
	_, err = files.Stage(ctx, t.Node.UUID, t.Node.UUID+".crt", href, func(file string) error {
		blocks, err := readCertificates(file)
		if err == nil && len(blocks) == 0 {
			err = stepFailed(t, "add_https_certificate", operationFailed("add_https_certificate", "No valid certificate in "+shownURL(href)+"."))
		}
		if err == nil {
			certificate = strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(blocks[0]))), "\n", "\r\n")
		}
		return err
	})
	return certificate, errors.Join(err, files.Withdraw(t.Node.UUID))
}

func readCertificates(file string) ([]*pem.Block, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longestCertificates))
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	var all []*pem.Block
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			block.Headers = nil
			all = append(all, block)
		}
	}
	return all, nil
}

// fingerprint is that of a certificate as an iLO writes it.
func fingerprint(block *pem.Block) string {
	sum := sha256.Sum256(block.Bytes)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

func fingerprints(files []string) (map[string]bool, error) {
	all := map[string]bool{}
	for _, file := range files {
		blocks, err := readCertificates(file)
		if err != nil {
			return nil, err
		}
		for _, block := range blocks {
			all[fingerprint(block)] = true
		}
	}
	return all, nil
}
