package kube

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Request is one request that the API server has answered, as its audit log tells.
type Request struct {
	// Verb as RBAC has it.
	Verb string `json:"verb"`
	// Of is the object; nil for requests that are about none, such as discovery.
	Of *RequestObject `json:"objectRef"`
	// URI of the request.
	URI string `json:"requestURI"`
	// Answer is how it ended.
	Answer struct {
		Code int32 `json:"code"`
	} `json:"responseStatus"`
	User struct {
		Name string `json:"username"`
	} `json:"user"`
}

// RequestObject is what a request is about.
type RequestObject struct {
	Group       string `json:"apiGroup"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
}

// auditPolicy writes down who asked for what, of one user, without what was sent. A watch is written down when
// it begins: it may never end.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: [%q]
- level: None
`

func (c *Cluster) auditLog() string { return filepath.Join(c.Dir, "audit.log") }

// audit has the API server write down what a user asks for.
func (c *Cluster) audit(user string, server *envtest.APIServer) error {
	policy := filepath.Join(c.Dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, fmt.Appendf(nil, auditPolicy, user), 0o600); err != nil {
		return fmt.Errorf("write the audit policy: %w", err)
	}
	server.Configure().
		Set("audit-policy-file", policy).
		Set("audit-log-path", c.auditLog()).
		Set("audit-log-mode", "blocking")
	return nil
}

// Audited are the requests of the user that Options.Audit names, up to now, in the order of their answers. A
// watch that has ended is in it twice.
func (c *Cluster) Audited() ([]Request, error) {
	file, err := os.Open(c.auditLog())
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was read
	var out []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		out = append(out, r)
	}
	return out, lines.Err()
}
