package ipmi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"
)

// library is the transport that speaks IPMI 2.0 itself, with go-ipmi: a session for each command, as ipmitool has it.
type library struct{}

// How long the library waits for each answer, and how often it asks again: ipmitool's own figures for lanplus.
const (
	answerTimeout = time.Second
	askedAgain    = 4
)

// usualSuites are tried for a node that names none: SHA-256 first, then what older BMCs have.
var usualSuites = []string{"17", "3"}

// speaks tells whether the library can bring a command to a BMC: it knows neither IPMI 1.5 with all its forms of passwords, nor
// requests that are handed on, nor Kg keys, and of the cipher suites only 3 and 17 hold up.
func speaks(to target, c command) bool {
	return len(c.messages) > 0 && to.version == "2.0" && len(to.bridge) == 0 && len(to.kg) == 0 && to.noKG == "" &&
		(to.cipherSuite == "" || to.cipherSuite == "3" || to.cipherSuite == "17") &&
		len(to.username) <= 16 && len(to.password) <= 20
}

func (l *library) send(ctx context.Context, to target, c command) (reply, error) {
	suites := usualSuites
	if to.cipherSuite != "" {
		suites = []string{to.cipherSuite}
	}
	var session *client.Client
	var err error
	for _, suite := range suites {
		session, err = l.open(ctx, to, suite)
		if why := (*failure)(nil); !errors.As(err, &why) || !why.mute {
			break
		}
	}
	if err != nil {
		return reply{}, err
	}
	defer l.end(ctx, session)
	var r reply
	for _, m := range c.messages {
		answer, err := session.RawCommand(ctx, types.NetFn(m.netFn), m.code, m.data, c.words)
		switch {
		case err != nil && m.optional && completion(err) != 0:
		case err != nil:
			return reply{}, l.failure(err, to)
		default:
			r = reply{data: answer.Response}
		}
	}
	return r, nil
}

// end closes a session. A BMC that does not listen ends it by itself.
func (l *library) end(ctx context.Context, session *client.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	_ = session.Close(ctx)
}

// abandon lets go of a session that was never established; nothing is sent.
func abandon(session *client.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = session.Close(ctx)
}

var privilegeLevels = map[string]types.PrivilegeLevel{"ADMINISTRATOR": types.PrivilegeLevelAdministrator,
	"OPERATOR": types.PrivilegeLevelOperator, "USER": types.PrivilegeLevelUser, "CALLBACK": types.PrivilegeLevelCallback}

// open logs in with one cipher suite.
func (l *library) open(ctx context.Context, to target, suite string) (*client.Client, error) {
	host, port := to.address, to.port
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == 0 {
		port = defaultPort
	}
	c, err := client.NewClient(host, port, to.username, to.password)
	if err != nil {
		return nil, &failure{text: withoutSecret(err.Error(), to.password), mute: true}
	}
	id := types.CipherSuiteID3
	if suite == "17" {
		id = types.CipherSuiteID17
	}
	c.WithInterface(client.InterfaceLanplus).WithCipherSuiteID(id).WithTimeout(answerTimeout).WithRetry(askedAgain).
		WithMaxPrivilegeLevel(privilegeLevels[to.privilege])
	if err := c.Connect(ctx); err != nil {
		abandon(c)
		why := l.failure(err, to)
		refused := mentions(why.text, badLogin...)
		why.mute = !why.silent && !refused
		if refused {
			why.text = fmt.Sprintf("the BMC %s refuses ipmi_username or ipmi_password: %s", to.key(), why.text)
		}
		return nil, why
	}
	return c, nil
}

// The library tells kinds of errors apart by their texts alone: those of its session set-up hold no others.
var (
	silence  = []string{"UDP exchange error", "no matching IPMI response", "no datagram matched", "i/o timeout", "resolve addr failed"}
	badLogin = []string{client.ErrRAKPAuthentication.Error(), "Unauthorized name", "Unauthorized role", "Unauthorized GUID"}
)

func mentions(text string, any ...string) bool {
	return slices.ContainsFunc(any, func(one string) bool { return strings.Contains(text, one) })
}

// failure words an error of the library.
func (l *library) failure(err error, to target) *failure {
	text := strings.Join(strings.Fields(withoutSecret(err.Error(), to.password)), " ")
	f := &failure{text: text, silent: mentions(text, silence...)}
	if code := completion(err); code != 0 {
		f.silent, f.text = false, fmt.Sprintf("completion code 0x%02x: %s", code, text)
		for _, one := range final {
			f.refused = f.refused || one.code == code
		}
	}
	return f
}

// completion is the completion code that a BMC refused a command with, 0 for any other error.
func completion(err error) byte {
	if refused, ok := types.IsResponseError(err); ok {
		return byte(refused.CompletionCode())
	}
	return 0
}
