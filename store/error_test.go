package store

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindsSurviveWrapping(t *testing.T) {
	err := fmt.Errorf("deploying: %w", NodeLockedBy("n1", "h1"))
	if KindOf(err) != NodeLocked || !errors.Is(err, NodeLockedBy("n2", "h2")) || errors.Is(err, NoSuchNode("n1")) {
		t.Errorf("%v is told as %q", err, KindOf(err))
	}
	if got := NodeLockedBy("n1", "h1").Error(); got !=
		"Node n1 is locked by host h1, please retry after the current operation is completed." {
		t.Errorf("the text is %q", got)
	}
	caused := Errorf(ImageDownloadFailed, "reading the image: %w", io.ErrUnexpectedEOF)
	if !errors.Is(caused, io.ErrUnexpectedEOF) || KindOf(io.EOF) != "" {
		t.Error("the cause is lost, or an ordinary error has a kind")
	}
}
