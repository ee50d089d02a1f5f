package conductor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// release asks a worker to free a node as the command does; from is the asker's address.
func (w *worker) release(node, from, header string) (status int, text string) {
	request := httptest.NewRequest(http.MethodPost, "/locks/release?node="+node, nil)
	request.RemoteAddr = from
	if header != "" {
		request.Header.Set(header, "locks")
	}
	answer := httptest.NewRecorder()
	w.AdminHandler(prometheus.NewRegistry()).ServeHTTP(answer, request)
	return answer.Code, answer.Body.String()
}

// Work that is under way keeps its lock: whoever took the node next would touch the machine beside it.
func TestALockUnderWorkIsNotReleased(t *testing.T) {
	w := startWorker(t, nil)
	n := w.available(t, nil)
	held := w.lock(t, n.UUID, lockMode{purpose: "writing an image"})
	status, text := w.release(n.UUID, "127.0.0.1:40000", OperatorHeader)
	if status != http.StatusConflict || !strings.Contains(text, "Conductor worker-1 is at work on node "+n.UUID) ||
		!strings.Contains(text, "writing an image") {
		t.Errorf("answered %d %s", status, text)
	}
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "worker-1")
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, text = w.release(n.UUID, "[::1]:40000", OperatorHeader)
	if status != http.StatusOK || !strings.Contains(text, `"freed":""`) {
		t.Errorf("answered %d %s", status, text)
	}
	w.unlocked(t)
}

// The address has no password: other machines and web pages must not free nodes.
func TestOnlyThisMachineReleasesLocks(t *testing.T) {
	w := startWorker(t, nil)
	n := w.available(t, nil)
	if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-1"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, header string }{
		{"192.0.2.7:40000", OperatorHeader}, {"127.0.0.1:40000", ""}, {"nonsense", OperatorHeader},
	} {
		if status, text := w.release(n.UUID, c.from, c.header); status != http.StatusForbidden ||
			!strings.Contains(text, "ironmaster locks --release") {
			t.Errorf("%v: answered %d %s", c, status, text)
		}
	}
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "worker-1")
	if status, text := w.release(n.UUID, "127.0.0.1:40000", OperatorHeader); status != http.StatusOK {
		t.Errorf("answered %d %s", status, text)
	}
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "")
}
