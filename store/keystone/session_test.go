package keystone

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Who waits for another's login to a Keystone that is slow may give up.
func TestWaitingForALoginEndsWithItsContext(t *testing.T) {
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	s := session(&fakeKeystone{Server: server}, "pw")
	first := make(chan error, 1)
	go func() {
		_, err := s.Provider(t.Context())
		first <- err
	}()
	<-asked
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := s.Provider(given); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v", err)
	}
	close(answer)
	if err := <-first; err == nil {
		t.Error("logged in without a token")
	}
}
