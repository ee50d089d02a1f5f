package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const (
	statePoll = 500 * time.Millisecond
	// stateTimeout bounds how long a node may take from one stable state to the next.
	stateTimeout = 90 * time.Second
)

// cloud speaks to ironic-api and Glance as a user does, through the openstack client.
type cloud struct {
	ironic, glance string
	out            io.Writer

	mu    sync.Mutex
	shown []string // verbs whose command line was printed
}

// nodeState is what the demo looks at of a node.
type nodeState struct {
	ProvisionState string `json:"provision_state"`
	TargetState    string `json:"target_provision_state"`
	LastError      string `json:"last_error"`
}

// upload stores a whole-disk image in Glance and returns its id. Neither kernel_id nor ramdisk_id is given: that is what
// makes it a whole-disk image.
func (c *cloud) upload(ctx context.Context, file string) (string, error) {
	out, err := c.client(ctx, c.glance, false, "image", "create", "--disk-format", "qcow2", "--container-format", "bare",
		"--file", file, "--format", "value", "--column", "id", "whole-disk")
	return strings.TrimSpace(out), err
}

// enrol creates a node and its ports.
func (c *cloud) enrol(ctx context.Context, m machine, boot lab.Ramdisk) error {
	words := []string{
		"node", "create", "--name", m.Name, "--driver", "redfish",
		"--boot-interface", "redfish-virtual-media", "--deploy-interface", "direct", "--network-interface", "noop",
		"--driver-info", "redfish_address=" + m.Address,
		"--driver-info", "redfish_username=" + m.Username,
		"--driver-info", "redfish_password=" + m.Password,
		"--driver-info", "redfish_system_id=" + m.SystemID,
		"--driver-info", "redfish_verify_ca=" + m.CAFile,
		"--driver-info", "deploy_kernel=" + boot.Kernel,
		"--driver-info", "deploy_ramdisk=" + boot.Initrd,
		"--driver-info", "bootloader=" + boot.Bootloader,
		"--property", "capabilities=boot_mode:uefi",
		"--property", "cpu_arch=" + m.CPUArch,
		"--property", fmt.Sprintf("memory_mb=%d", m.MemoryMB),
		"--property", fmt.Sprintf("local_gb=%d", m.LocalGB),
	}
	if err := c.ironicClient(ctx, false, words...); err != nil {
		return err
	}
	node, err := c.uuid(ctx, m.Name)
	if err != nil {
		return err
	}
	for _, mac := range m.MACs {
		if err := c.ironicClient(ctx, false, "port", "create", mac, "--node", node); err != nil {
			return err
		}
	}
	return nil
}

// order says which image the next deployment of a node writes.
func (c *cloud) order(ctx context.Context, node, image string) error {
	return c.ironicClient(ctx, false, "node", "set", node, "--instance-info", "image_source="+image)
}

// provision asks for a change of provision state and waits for its end.
func (c *cloud) provision(ctx context.Context, node, verb, wanted string) error {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	if err := c.ironicClient(ctx, false, "node", verb, node); err != nil {
		return err
	}
	for {
		now, err := c.state(ctx, node)
		if err != nil {
			return err
		}
		switch {
		case now.ProvisionState == wanted:
			return nil
		case now.LastError != "" && now.TargetState == "", strings.HasSuffix(now.ProvisionState, "failed"),
			now.ProvisionState == "error":
			return fmt.Errorf("%s of %s ended in state %s: %s", verb, node, now.ProvisionState, now.LastError)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s of %s did not reach %s in time, it is %s: %w", verb, node, wanted, now.ProvisionState, ctx.Err())
		case <-time.After(statePoll):
		}
	}
}

// state reads a node from the API. The client would need a second of processor time for each look.
func (c *cloud) state(ctx context.Context, node string) (nodeState, error) {
	var state nodeState
	return state, c.get(ctx, node, &state)
}

func (c *cloud) uuid(ctx context.Context, node string) (string, error) {
	var found struct {
		UUID string `json:"uuid"`
	}
	return found.UUID, c.get(ctx, node, &found)
}

func (c *cloud) get(ctx context.Context, node string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ironic+"/v1/nodes/"+node, nil)
	if err != nil {
		return fmt.Errorf("reading node %s: %w", node, err)
	}
	request.Header.Set("X-OpenStack-Ironic-API-Version", "latest")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("reading node %s: %w", node, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("reading node %s: %s", node, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading node %s: %w", node, err)
	}
	return nil
}

// ironicClient runs openstack baremetal, and shows what it prints when show is set.
func (c *cloud) ironicClient(ctx context.Context, show bool, words ...string) error {
	_, err := c.client(ctx, c.ironic, show, append([]string{"baremetal"}, words...)...)
	return err
}

func (c *cloud) client(ctx context.Context, endpoint string, show bool, words ...string) (string, error) {
	c.announce(words)
	cmd := exec.CommandContext(ctx, "openstack", words...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OS_") }),
		"OS_AUTH_TYPE=none", "OS_ENDPOINT="+endpoint)
	var output, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("openstack %s: %w: %s", strings.Join(words[:min(3, len(words))], " "), err,
			lastLine(problems.String()))
	}
	if show {
		fmt.Fprintf(c.out, "  %s\n", strings.ReplaceAll(strings.TrimSpace(output.String()), "\n", "\n  "))
	}
	return output.String(), nil
}

// announce prints a command line the first time that its kind is used; the other machines get the same.
func (c *cloud) announce(words []string) {
	verb := strings.Join(words[:min(3, len(words))], " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.shown, verb) {
		return
	}
	c.shown = append(c.shown, verb)
	line := slices.Clone(words)
	for i, word := range line {
		if name, _, found := strings.Cut(word, "password="); found {
			line[i] = name + "password=..."
		}
	}
	fmt.Fprintf(c.out, "  $ openstack %s\n", fold(line))
}

// fold breaks a command line between options, as a shell takes it.
func fold(words []string) string {
	var text strings.Builder
	width := 0
	for i, word := range words {
		if width > 90 && strings.HasPrefix(word, "--") {
			text.WriteString(" \\\n     ")
			width = 0
		}
		if i > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(word)
		width += len(word) + 1
	}
	return text.String()
}

// lastLine is where the client says what went wrong, below its usage.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
