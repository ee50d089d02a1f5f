package jsonrpc

import (
	"net/http"
	"strconv"
	"time"
)

// Answer is what goes back over HTTP.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// refusal is an answer to a request that is not let in, with upstream's body.
func refusal(status int, message string) *Answer {
	body, err := encode(struct {
		Error failure `json:"error"`
	}{failure{Code: status, Message: message}})
	if err != nil {
		body = nil // Two plain values always encode.
	}
	return &Answer{Status: status, Body: body}
}

// answerTimeout bounds how long a client may take to take its answer.
const answerTimeout = 30 * time.Second

func (a *Answer) write(w http.ResponseWriter) error {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	if len(a.Body) > 0 {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	if len(a.Body) == 0 {
		return nil
	}
	_, err := w.Write(a.Body)
	return err
}
