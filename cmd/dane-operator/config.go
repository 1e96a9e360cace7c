package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// The version and kind of the configuration file.
const (
	configVersion = "config.dane-operator.io/v1alpha1"
	configKind    = "OperatorConfiguration"
)

// OperatorConfiguration is what --config reads. Each field stands for the flag that its tag names, has the default and
// the checks of that, and yields to it on the command line. What is absent is as if the flag were absent.
type OperatorConfiguration struct {
	metav1.TypeMeta `json:",inline"`

	Watch          *watchConfig       `json:"watch,omitempty"`
	NameServers    *nameServersConfig `json:"nameServers,omitempty"`
	MailServers    *mailServersConfig `json:"mailServers,omitempty"`
	Rollover       *rolloverConfig    `json:"rollover,omitempty"`
	LeaderElection *electionConfig    `json:"leaderElection,omitempty"`
	Metrics        *metricsConfig     `json:"metrics,omitempty"`
	Dashboard      *dashboardConfig   `json:"dashboard,omitempty"`
	Health         *healthConfig      `json:"health,omitempty"`
	Profiling      *profilingConfig   `json:"profiling,omitempty"`
	Log            *logConfig         `json:"log,omitempty"`
}

type watchConfig struct {
	Namespaces []string `json:"namespaces,omitempty" flag:"namespace"`
	Selector   *string  `json:"selector,omitempty" flag:"selector"`
	Workers    *int     `json:"workers,omitempty" flag:"workers"`
}

type nameServersConfig struct {
	TrustAnchorsFile *string  `json:"trustAnchorsFile,omitempty" flag:"trust-anchors"`
	Resolvers        []string `json:"resolvers,omitempty" flag:"resolvers"`
	QueriesPerServer *int     `json:"queriesPerServer,omitempty" flag:"queries-per-server"`
}

type mailServersConfig struct {
	AllowCIDRs []string `json:"allowCIDRs,omitempty" flag:"probe-allow-cidr"`
	HELOName   *string  `json:"heloName,omitempty" flag:"probe-helo-name"`
}

type rolloverConfig struct {
	UnknownHistory *string `json:"unknownHistory,omitempty" flag:"unknown-history"`
}

type electionConfig struct {
	Enabled       *bool   `json:"enabled,omitempty" flag:"leader-elect"`
	Namespace     *string `json:"namespace,omitempty" flag:"leader-election-namespace"`
	LeaseDuration *string `json:"leaseDuration,omitempty" flag:"leader-election-lease-duration"`
	RenewDeadline *string `json:"renewDeadline,omitempty" flag:"leader-election-renew-deadline"`
	RetryPeriod   *string `json:"retryPeriod,omitempty" flag:"leader-election-retry-period"`
}

type metricsConfig struct {
	BindAddress *string `json:"bindAddress,omitempty" flag:"metrics-bind-address"`
	Secure      *bool   `json:"secure,omitempty" flag:"metrics-secure"`
	CertDir     *string `json:"certDir,omitempty" flag:"metrics-cert-dir"`
}

type dashboardConfig struct {
	BindAddress *string `json:"bindAddress,omitempty" flag:"dashboard-address"`
	CertDir     *string `json:"certDir,omitempty" flag:"dashboard-cert-dir"`
}

type healthConfig struct {
	BindAddress *string `json:"bindAddress,omitempty" flag:"health-probe-bind-address"`
}

type profilingConfig struct {
	BindAddress *string `json:"bindAddress,omitempty" flag:"pprof-bind-address"`
}

type logConfig struct {
	Level  *int    `json:"level,omitempty" flag:"v"`
	Format *string `json:"format,omitempty" flag:"log-format"`
}

// errConfigVersion is for files of another version of the operator, or of another program.
var errConfigVersion = errors.New("want apiVersion " + configVersion + " and kind " + configKind)

// readConfig reads a configuration. A field that is not known, and one that stands there twice, is an error that names it.
func readConfig(text []byte) (*OperatorConfiguration, error) {
	text, err := onlyDocument(text)
	if err != nil {
		return nil, err
	}
	// The version first: what else is wrong with a file of another one says nothing.
	var of metav1.TypeMeta
	if err := json.UnmarshalCaseSensitivePreserveInts(text, &of); err != nil {
		return nil, err
	}
	if of.APIVersion != configVersion || of.Kind != configKind {
		return nil, fmt.Errorf("apiVersion %q, kind %q: %w", of.APIVersion, of.Kind, errConfigVersion)
	}
	out := &OperatorConfiguration{}
	unknown, err := json.UnmarshalStrict(text, out)
	if err = errors.Join(append(unknown, err)...); err != nil {
		return nil, err
	}
	return out, nil
}

// onlyDocument is the one document of a YAML stream, in JSON.
func onlyDocument(text []byte) ([]byte, error) {
	found, empty := []byte("{}"), true
	stream := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := stream.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		object, err := yaml.YAMLToJSONStrict(document)
		switch {
		case err != nil:
			return nil, err
		case string(object) == "null": // nothing but comments
		case !empty:
			return nil, errors.New("there is more than one document in it")
		default:
			found, empty = object, false
		}
	}
}

// applyConfig gives the flags that were not set on the command line the values of a file.
func applyConfig(file string, flags *pflag.FlagSet) error {
	text, err := os.ReadFile(file) //nolint:gosec // whoever starts the operator names it
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	config, err := readConfig(text)
	if err != nil {
		return fmt.Errorf("--config %s: %w", file, err)
	}
	for _, s := range settingsOf(reflect.ValueOf(config).Elem(), "") {
		if s.set && !flags.Changed(s.flag) {
			if err := s.giveTo(flags); err != nil {
				return fmt.Errorf("--config %s: %s: %w", file, s.path, err)
			}
		}
	}
	return nil
}

// setting is one field of the configuration: where it stands, the flag that it is for, and its value as that takes it.
type setting struct {
	path, flag string
	// set says that the file has it; list that it is one, whose words are its values.
	set, list bool
	words     []string
}

// giveTo sets the flag, but not as one that was given.
func (s setting) giveTo(flags *pflag.FlagSet) error {
	f := flags.Lookup(s.flag)
	if f == nil {
		return fmt.Errorf("there is no flag --%s", s.flag) // a programming error that a test finds
	}
	if list, ok := f.Value.(pflag.SliceValue); ok && s.list {
		return list.Replace(s.words)
	}
	return f.Value.Set(strings.Join(s.words, ","))
}

// settingsOf are the fields below a struct that have a flag.
func settingsOf(of reflect.Value, path string) []setting {
	var out []setting
	for i := range of.NumField() {
		field, value := of.Type().Field(i), of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		flag := field.Tag.Get("flag")
		switch {
		case flag != "":
			s := setting{path: path + name, flag: flag, set: !value.IsNil(), list: value.Kind() == reflect.Slice}
			if s.set {
				s.words = words(value)
			}
			out = append(out, s)
		case field.Type.Kind() == reflect.Pointer:
			part := value
			if part.IsNil() {
				part = reflect.New(field.Type.Elem()) // its fields are there, and not set
			}
			out = append(out, settingsOf(part.Elem(), path+name+".")...)
		}
	}
	return out
}

// words are the value of a field as a command line has it.
func words(value reflect.Value) []string {
	switch v := value.Interface().(type) {
	case []string:
		return v
	case *string:
		return []string{*v}
	case *int:
		return []string{strconv.Itoa(*v)}
	case *bool:
		return []string{strconv.FormatBool(*v)}
	}
	panic(fmt.Sprintf("the configuration has no fields of type %s", value.Type())) // a programming error that a test finds
}
