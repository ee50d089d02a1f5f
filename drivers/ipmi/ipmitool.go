package ipmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ipmitool is the transport that runs the program of that name, with the arguments that ironic gives it. The password reaches it
// through a pipe, or in its environment when the operator wants it so: neither a file nor the list of processes shows it.
type ipmitool struct{ cfg Config }

// mostOutput bounds what is kept of an ipmitool's output. The sensors of a large server are some 200 KiB.
const mostOutput = 4 << 20

// passwordPipe is the file that ipmitool reads the password from: the first file that it is handed.
const passwordPipe = "/dev/fd/3"

func (i *ipmitool) send(ctx context.Context, to target, c command) (reply, error) {
	if i.cfg.KillOnTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, i.cfg.RetryTimeout)
		defer cancel()
	}
	args, env := i.arguments(to)
	args = append(args, i.timing()...)
	cmd := exec.CommandContext(ctx, "ipmitool")
	cmd.WaitDelay = time.Second
	if i.cfg.PasswordInEnv {
		args, env = append(args, "-E"), append(env, "IPMI_PASSWORD="+to.password)
	} else {
		pipe, err := pipeWith(passwordText(to.password))
		if err != nil {
			return reply{}, &failure{text: "handing the password to ipmitool: " + err.Error(), refused: true}
		}
		defer pipe.Close()
		args, cmd.ExtraFiles = append(args, "-f", passwordPipe), []*os.File{pipe}
	}
	cmd.Args = slices.Concat([]string{"ipmitool"}, args, strings.Split(c.words, " "))
	cmd.Env = append(os.Environ(), env...)
	out, problem := &clipped{limit: mostOutput}, &clipped{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, problem
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return reply{}, i.failure(ctx, err, problem.String(), time.Since(began), to)
	}
	return reply{text: out.String()}, nil
}

// arguments are those that say which BMC, and what of the environment goes with them.
func (i *ipmitool) arguments(to target) (args, env []string) {
	protocol := "lanplus"
	if to.version == "1.5" {
		protocol = "lan"
	}
	args = []string{"-I", protocol, "-H", to.address, "-L", to.privilege}
	if to.port != 0 {
		args = append(args, "-p", strconv.Itoa(to.port))
	}
	if to.username != "" {
		args = append(args, "-U", to.username)
	}
	if key := bytes.TrimRight(to.kg, "\x00"); len(key) > 0 && bytes.IndexByte(key, 0) < 0 {
		args, env = append(args, "-K"), append(env, "IPMI_KGKEY="+string(key))
	} else if len(key) > 0 {
		// A key with a zero inside fits into no environment.
		args = append(args, "-y", fmt.Sprintf("%x", to.kg))
	} else if to.noKG != "" {
		args = append(args, "-y", to.noKG)
	}
	if to.cipherSuite != "" {
		args = append(args, "-C", to.cipherSuite)
	}
	for _, o := range to.bridge {
		args = append(args, o.flag, o.value)
	}
	if i.cfg.Verbose {
		args = append(args, "-v")
	}
	return args, env
}

// timing says how often ipmitool sends and how long it waits: once, or until the time for retries is over. From one try to the
// next it waits a second longer.
func (i *ipmitool) timing() []string {
	interval := max(int(math.Round(i.cfg.Interval.Seconds())), 1)
	tries := 1
	if i.cfg.ToolRetries {
		tries = 0
		for spent, next := 0, interval; spent+next <= int(i.cfg.RetryTimeout.Seconds()); next++ {
			spent += next
			tries++
		}
	}
	return []string{"-R", strconv.Itoa(tries), "-N", strconv.Itoa(interval)}
}

// passwordText is what ipmitool reads a password from. Without any text it would ask for one.
func passwordText(password string) string {
	if password == "" {
		return "\x00"
	}
	return password
}

// pipeWith returns the end of a pipe from which text can be read once.
func pipeWith(text string) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	// It fits into any pipe, so that this does not wait for a reader.
	if len(text) > 4096 {
		read.Close()
		return nil, errors.New("it is longer than 4096 bytes")
	}
	if _, err := write.WriteString(text); err != nil {
		read.Close()
		return nil, err
	}
	return read, nil
}

// cipherRefusals are ipmitool's words for a cipher suite that the BMC does not have.
var cipherRefusals = []string{"Unsupported cipher suite ID", "no matching cipher suite", "invalid role"}

// failure words an ipmitool that failed.
func (i *ipmitool) failure(ctx context.Context, err error, said string, took time.Duration, to target) error {
	said = withoutSecret(strings.Join(strings.Fields(said), " "), to.password)
	f := &failure{text: said}
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return &failure{text: "ipmitool is not installed", refused: true}
	case ctx.Err() != nil:
		f.text, f.silent = fmt.Sprintf("ipmitool did not end within %s", i.cfg.RetryTimeout), true
	case errors.As(err, &exit) && said == "":
		f.text = "ipmitool: " + exit.Error()
	case !errors.As(err, &exit):
		f.text = "running ipmitool: " + err.Error()
	}
	f.cipher = slices.ContainsFunc(cipherRefusals, func(text string) bool { return strings.Contains(said, text) })
	// ipmitool has the same words for a BMC that says nothing and for one that refuses the password. The latter is quick.
	waited := took >= time.Duration(max(int(i.cfg.Interval.Seconds()), 1))*time.Second
	f.silent = f.silent || strings.Contains(said, "Unable to establish") && waited || strings.Contains(said, "Address lookup")
	for _, code := range final {
		f.refused = f.refused || strings.HasSuffix(said, code.words)
	}
	return f
}

// final are completion codes that stay the same however often a command is sent (IPMI 2.0, table 5-2), and ipmitool's words.
var final = []struct {
	code  byte
	words string
}{
	{0xc1, "Invalid command"}, {0xc2, "Invalid command on LUN"}, {0xc7, "Request data length invalid"},
	{0xc8, "Request data field length limit exceeded"}, {0xc9, "Parameter out of range"},
	{0xcc, "Invalid data field in request"}, {0xd4, "Insufficient privilege level"},
}

// clipped keeps the beginning of what is written to it.
type clipped struct {
	bytes.Buffer
	limit int
}

// Write takes all and keeps what there is room for.
func (c *clipped) Write(p []byte) (int, error) {
	if room := c.limit - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// shortestSecret is how long a secret must be to be hidden: hiding a shorter one would garble every text.
const shortestSecret = 4

func withoutSecret(text, secret string) string {
	if len(secret) < shortestSecret {
		return text
	}
	return strings.ReplaceAll(text, secret, "***")
}
