package graphical

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
	"go.yaml.in/yaml/v3"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

const kubernetesProvider = "kubernetes"

// kubernetes is the provider of that name: each container is a pod, with a secret that holds what its app knows.
type kubernetes struct {
	cfg      ContainerConfig
	template *exec.Template
}

func openKubernetes(ctx context.Context, cfg ContainerConfig) (Containers, error) {
	if _, err := run(ctx, command{args: []string{"kubectl", "version"}}); err != nil {
		return nil, failed(kubernetesProvider, "%w", err)
	}
	if cfg.Image == "" {
		return nil, failed(kubernetesProvider, "[vnc]console_image must be set.")
	}
	k := &kubernetes{cfg: cfg}
	var err error
	if k.template, err = openTemplate(cfg.KubernetesTemplate, kubernetesProvider); err == nil {
		_, _, err = k.manifest("", "fake", nil)
	}
	if err != nil {
		return nil, failed(kubernetesProvider, "Parsing %s failed: %w", cfg.KubernetesTemplate, err)
	}
	return k, nil
}

// resource is what has to be known of a thing that a manifest makes.
type resource struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
}

// manifest renders what makes up a node's container, and reads it.
func (k *kubernetes) manifest(node, app string, info store.Dict) (string, []resource, error) {
	if info == nil {
		info = store.Dict{}
	}
	known, err := infoText(info)
	if err != nil {
		return "", nil, err
	}
	text, err := render(k.template, map[string]any{"uuid": node, "image": k.cfg.Image, "app": app, "app_info": known,
		"read_only": k.cfg.ReadOnly, "conductor": k.cfg.Host})
	if err != nil {
		return "", nil, err
	}
	resources, err := readManifest(text)
	return text, resources, err
}

// readManifest reads a manifest of several documents. Each thing in it must have a name, a namespace and labels, or it could not be
// found again.
func readManifest(text string) ([]resource, error) {
	var all []resource
	pods := 0
	for documents := yaml.NewDecoder(strings.NewReader(text)); ; {
		var one *resource
		err := documents.Decode(&one)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the manifest: %w", err)
		}
		if one == nil {
			continue
		}
		m := one.Metadata
		if one.Kind == "" || m.Name == "" || m.Namespace == "" || len(m.Labels) == 0 {
			return nil, fmt.Errorf("the manifest's part %d lacks kind, metadata.name, metadata.namespace or metadata.labels", len(all)+1)
		}
		if one.Kind == "Pod" {
			pods++
		}
		all = append(all, *one)
	}
	if pods == 0 {
		return nil, errors.New("the manifest has no Pod")
	}
	return all, nil
}

// Start makes the node's pod and waits until it is ready. Another conductor may have left a pod of the node, which would go on with what
// its app was told first.
func (k *kubernetes) Start(ctx context.Context, node, app string, info store.Dict) (string, int, error) {
	text, resources, err := k.manifest(node, app, info)
	if err != nil {
		return "", 0, failed(kubernetesProvider, "%w", err)
	}
	if err := k.Stop(ctx, node); err != nil {
		return "", 0, err
	}
	pod := resources[slices.IndexFunc(resources, func(r resource) bool { return r.Kind == "Pod" })]
	host, err := k.start(ctx, text, pod)
	if err != nil {
		// Part of it may be there, such as the secret.
		return "", 0, errors.Join(err, k.Stop(context.WithoutCancel(ctx), node))
	}
	return host, vncPort, nil
}

// start makes what a manifest says, and returns its pod's address once that is ready.
func (k *kubernetes) start(ctx context.Context, manifest string, pod resource) (string, error) {
	if _, err := run(ctx, command{args: []string{"kubectl", "apply", "-f", "-"}, input: manifest}); err != nil {
		return "", failed(kubernetesProvider, "%w", err)
	}
	if err := k.awaitReady(ctx, pod); err != nil {
		return "", err
	}
	said, err := run(ctx, get(pod, "jsonpath={.status.podIP}"))
	if err != nil {
		return "", failed(kubernetesProvider, "%w", err)
	}
	return strings.TrimSpace(said), nil
}

func get(pod resource, format string) command {
	return command{args: []string{"kubectl", "get", "pod", pod.Metadata.Name, "-n", pod.Metadata.Namespace, "-o", format}}
}

const podPoll = 2 * time.Second

func (k *kubernetes) awaitReady(ctx context.Context, pod resource) error {
	limited, cancel := context.WithTimeout(ctx, k.cfg.PodTimeout)
	defer cancel()
	for {
		if said, err := run(limited, get(pod, "json")); err == nil && isReady(said) {
			return nil
		}
		if drivers.Pause(limited, podPoll) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return failed(kubernetesProvider, "Pod %s did not become ready in %ds", pod.Metadata.Name,
				int(k.cfg.PodTimeout.Seconds()))
		}
	}
}

// isReady reads a pod's status (Kubernetes API, PodStatus). One that can't be read yet is not ready.
func isReady(said string) bool {
	var pod struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if json.Unmarshal([]byte(said), &pod) != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return true
		}
	}
	return false
}

// Stop deletes what makes up the node's container, last things first.
func (k *kubernetes) Stop(ctx context.Context, node string) error {
	_, resources, err := k.manifest(node, "fake", nil)
	if err != nil {
		return failed(kubernetesProvider, "%w", err)
	}
	for _, r := range slices.Backward(resources) {
		if err := remove(ctx, r, r.Metadata.Name); err != nil {
			return err
		}
	}
	return nil
}

// StopAll deletes everything with the labels of this conductor's containers.
func (k *kubernetes) StopAll(ctx context.Context) error {
	_, resources, err := k.manifest("", "fake", nil)
	if err != nil {
		return failed(kubernetesProvider, "%w", err)
	}
	for _, r := range slices.Backward(resources) {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(r.Metadata.Labels)) {
			labels = append(labels, name+"="+r.Metadata.Labels[name])
		}
		if err := remove(ctx, r, "-l", strings.Join(labels, ",")); err != nil {
			return err
		}
	}
	return nil
}

func remove(ctx context.Context, r resource, which ...string) error {
	args := append([]string{"kubectl", "delete", "-n", r.Metadata.Namespace, r.Kind, "--ignore-not-found=true"}, which...)
	if _, err := run(ctx, command{args: args}); err != nil {
		return failed(kubernetesProvider, "%w", err)
	}
	return nil
}
