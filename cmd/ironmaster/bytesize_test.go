package main

import "testing"

func TestByteSizeReadsWhatPeopleWrite(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "512M": 512 << 20, "10G": 10 << 30, "10GiB": 10 << 30, "1.5g": 3 << 29, "2 TB": 2 << 40, "1k": 1 << 10,
	} {
		var b byteSize
		if err := b.Set(text); err != nil || int64(b) != want {
			t.Errorf("%q is %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "G", "-1G", "10X", "1GG", "16E", "NaN", "ten"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q is taken for %d", text, b)
		}
	}
}

func TestByteSizeIsShort(t *testing.T) {
	for n, want := range map[byteSize]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 123 << 20: "123 MiB", 10 << 30: "10 GiB", 1<<63 - 1: "8 EiB",
	} {
		if got := n.String(); got != want {
			t.Errorf("%d is %q, want %q", int64(n), got, want)
		}
	}
}
