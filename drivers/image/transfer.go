package image

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// PhaseServe is the phase in which a node takes bytes from the server.
const PhaseServe Phase = "serve"

// reportEvery is the shortest time between two calls of OnProgress within one request.
const reportEvery = 500 * time.Millisecond

// chunk is how many bytes go out between two looks at the clock, and between two counts.
const chunk = 1 << 20

func (p *publication) report() {
	if p.OnProgress != nil {
		p.OnProgress(p.taken.Snapshot())
	}
}

// begin notes a GET that starts at offset: one from the start begins a new pass over the file.
func (p *publication) begin(offset int64) {
	if offset == 0 {
		p.taken.Begin(PhaseServe, p.size)
	}
}

// advance notes that the bytes up to offset end were sent. Ranges may come in any order: what counts is the furthest byte.
func (p *publication) advance(end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end > p.taken.Snapshot().Done {
		p.taken.Set(end)
	}
}

// countingWriter counts the bytes of one response, gives each chunk a deadline of its own, and stops when the
// publication is withdrawn.
type countingWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	stall    time.Duration
	p        *publication
	get      bool
	counting bool  // the response carries the file's bytes
	offset   int64 // in the file
	reported time.Time
}

// WriteHeader learns from the headers where in the file the body begins.
func (w *countingWriter) WriteHeader(status int) {
	switch {
	case !w.get:
	case status == http.StatusOK:
		w.counting, w.offset = true, 0
	case status == http.StatusPartialContent:
		if start, ok := rangeStart(w.Header().Get("Content-Range")); ok {
			w.counting, w.offset = true, start
		}
	}
	if w.counting {
		w.p.begin(w.offset)
		w.reported = time.Now()
	}
	w.ResponseWriter.WriteHeader(status)
}

// rangeStart reads "bytes 5-9/10". Answers of several ranges have no such header; they are sent and not counted.
func rangeStart(header string) (int64, bool) {
	rest, ok := strings.CutPrefix(header, "bytes ")
	if !ok {
		return 0, false
	}
	first, _, _ := strings.Cut(rest, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	return start, err == nil
}

func (w *countingWriter) Write(b []byte) (int, error) {
	if err := w.extend(); err != nil {
		return 0, err
	}
	n, err := w.ResponseWriter.Write(b)
	w.count(int64(n))
	return n, err
}

// ReadFrom passes files to the connection chunk by chunk, so that the kernel may copy them (sendfile).
func (w *countingWriter) ReadFrom(r io.Reader) (total int64, err error) {
	whole, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	if _, isFile := whole.R.(*os.File); !isFile {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	for whole.N > 0 {
		if err := w.extend(); err != nil {
			return total, err
		}
		part := &io.LimitedReader{R: whole.R, N: min(chunk, whole.N)}
		asked := part.N
		n, err := io.Copy(w.ResponseWriter, part)
		whole.N -= n
		total += n
		w.count(n)
		if err != nil {
			return total, err
		}
		if n < asked {
			return total, nil
		}
	}
	return total, nil
}

// extend refuses to go on after a withdrawal and gives the next chunk its deadline.
func (w *countingWriter) extend() error {
	if err := w.p.withdrawn.Err(); err != nil {
		return err
	}
	return extendDeadline(w.control, w.stall)
}

func extendDeadline(control *http.ResponseController, stall time.Duration) error {
	if stall <= 0 {
		return nil
	}
	return control.SetWriteDeadline(time.Now().Add(stall))
}

func (w *countingWriter) count(n int64) {
	if !w.counting || n == 0 {
		return
	}
	w.offset += n
	w.p.advance(w.offset)
	if time.Since(w.reported) >= reportEvery {
		w.reported = time.Now()
		w.p.report()
	}
}

// finish reports once more at the end of a GET.
func (w *countingWriter) finish() {
	if w.counting {
		w.p.report()
	}
}
