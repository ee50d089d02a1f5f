package wholeworker

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// imageCase is an image or an order that cannot be carried out.
type imageCase struct {
	name string
	// page is what the web server answers before it is mended; without one the image comes from elsewhere.
	page http.HandlerFunc
	// instance replaces values of the good order.
	instance map[string]any
	// answer is the HTTP status of a refusal at once; 0 stands for a deployment that fails.
	answer int
	want   string
}

// local has the bytes go through the worker.
func local(more map[string]any) map[string]any {
	all := map[string]any{"image_download_source": "local"}
	maps.Copy(all, more)
	return all
}

const noSum = "0000000000000000000000000000000000000000000000000000000000000000"

func imageCases(t *testing.T, w *world, web *webServer, img diskImage) []imageCase {
	backed, large, outside := filepath.Join(w.wares, "backed.qcow2"), filepath.Join(w.wares, "large.raw"), "/etc/hostname"
	tool(t, "", "qemu-img", "create", "-q", "-f", "qcow2", "-b", img.raw, "-F", "raw", backed)
	must(t, os.WriteFile(large, nil, 0o644))
	must(t, os.Truncate(large, 80*mebibyte))
	return []imageCase{
		{name: "missing", page: http.NotFound, want: "HTTP code 404"},
		{name: "forbidden", page: answerStatus(403), want: "HTTP code 403"},
		{name: "broken server", page: answerStatus(500), want: "HTTP code 500"},
		{name: "missing, through the worker", page: http.NotFound, instance: local(nil), want: "HTTP code 404"},
		{name: "forbidden, through the worker", page: answerStatus(403), instance: local(nil), want: "HTTP code 403"},
		{name: "broken server, through the worker", page: answerStatus(500), instance: local(nil), want: "HTTP code 500"},
		{name: "nobody listens", instance: map[string]any{"image_source": "http://127.0.0.1:1/disk"}, want: "connection refused"},
		{name: "missing in Glance", instance: map[string]any{"image_source": "11111111-2222-3333-4444-555555555555",
			"image_os_hash_algo": nil, "image_os_hash_value": nil}, want: "could not be found"},
		{name: "missing file", instance: map[string]any{"image_source": "file://" + w.wares + "/none"},
			want: "file not found"},
		{name: "file elsewhere", instance: map[string]any{"image_source": "file://" + outside}, want: "(?i)not allowed|allowed"},
		{name: "truncated", page: serveHalf(img.raw), want: "write_image failed .*Download of image .* failed"},
		{name: "truncated, through the worker", page: serveHalf(img.raw), instance: local(nil),
			want: "closed before the whole image had arrived"},
		{name: "wrong checksum", instance: map[string]any{"image_os_hash_value": noSum}, want: "failed to verify against checksum"},
		{name: "wrong checksum, through the worker", instance: local(map[string]any{"image_os_hash_value": noSum}),
			want: "(?i)checksum"},
		{name: "declared raw and qcow2", page: serveFile(img.qcow2), instance: local(map[string]any{
			"image_os_hash_value": img.qcow2Sum}), want: "declared as raw but its contents are qcow2"},
		{name: "qcow2 with a backing file", page: serveFile(backed), instance: local(map[string]any{
			"image_os_hash_value": sumOf(t, backed), "image_disk_format": "qcow2"}), want: "backing file"},
		{name: "larger than the disk", page: serveFile(large), instance: map[string]any{"image_os_hash_value": sumOf(t, large)},
			want: "(?i)no space left"},
		{name: "swap", instance: map[string]any{"swap_mb": 512}, answer: 400, want: "swap or ephemeral size set: .*swap_mb"},
		{name: "ephemeral", instance: map[string]any{"ephemeral_gb": 1}, answer: 400,
			want: "swap or ephemeral size set: .*ephemeral_gb"},
		{name: "no checksum", instance: map[string]any{"image_os_hash_algo": nil, "image_os_hash_value": nil}, answer: 400,
			want: "image_checksum"},
		{name: "no image", instance: map[string]any{"image_source": nil}, answer: 400, want: "image_source"},
		{name: "unknown scheme", instance: map[string]any{"image_source": "gopher://127.0.0.1/disk"}, answer: 500,
			want: "protocol gopher is not supported"},
	}
}

func badImages(t *testing.T, w *world, web *webServer, img diskImage) {
	cases := imageCases(t, w, web, img)
	machines := w.openRoom(t, room.Config{Seed: 20, Count: len(cases)}).Machines()
	t.Run("of", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, w, web, machines[i], img)
			})
		}
	})
}

func (c imageCase) run(t *testing.T, w *world, web *webServer, m *room.Machine, img diskImage) {
	ctx := t.Context()
	uuid, err := w.api.enrol(ctx, m.Info(), w.ramdisk, map[string]any{"automated_clean": false, "name": ownName(t)})
	must(t, err)
	makeAvailable(t, w, uuid)
	page := c.page
	if page == nil {
		page = serveFile(img.raw)
	}
	name := strings.ReplaceAll(c.name, " ", "-")
	good := map[string]any{"image_source": web.put(name, page), "image_disk_format": "raw", "image_os_hash_algo": "sha256",
		"image_os_hash_value": img.sum}
	bad := maps.Clone(good)
	for key, value := range c.instance {
		if bad[key] = value; value == nil {
			delete(bad, key)
		}
	}
	must(t, w.api.patch(ctx, uuid, set("/instance_info", bad)))
	if c.answer != 0 {
		c.checkRefused(t, w, uuid)
	} else {
		n := fails(t, w, uuid, "active", "deploy failed", c.want)
		if n.Maintenance {
			t.Errorf("the node is in maintenance")
		}
	}
	got := m.Snapshot()
	if got.Writes != 0 || got.Media != "" {
		t.Errorf("after the failure the machine is %+v", got)
	}
	// The image's place is the same as before: what was remembered of the bad one must not be in the way.
	web.put(name, serveFile(img.raw))
	if c.instance["image_download_source"] != nil {
		good["image_download_source"] = "local"
	}
	deploys(t, w, m, uuid, good, img)
}

// checkRefused expects the order to be refused by the answer, with the node as it was.
func (c imageCase) checkRefused(t *testing.T, w *world, uuid string) {
	t.Helper()
	err := w.api.provision(t.Context(), uuid, "active")
	if statusOf(err) != c.answer || !matches(c.want, err.Error()) {
		t.Errorf("the answer is %v, want HTTP %d and %q", err, c.answer, c.want)
	}
	n, err := w.api.node(t.Context(), uuid)
	must(t, err)
	if n.ProvisionState != "available" || n.LastError != "" || n.Reservation != "" {
		t.Errorf("the node that was refused is in %q, last error %q, reservation %q", n.ProvisionState, n.LastError, n.Reservation)
	}
}
