package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is a machine that speaks TFTP badly.
type peer struct {
	t    *testing.T
	conn *net.UDPConn
	addr *net.UDPAddr // of the server
}

func newPeer(t *testing.T, addr string) *peer {
	t.Helper()
	server, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: server.IP})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{t, conn, server}
}

func (p *peer) send(to *net.UDPAddr, packet []byte) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDP(packet, to); err != nil {
		p.t.Fatal(err)
	}
}

// answer waits for a packet and returns it with the address it came from.
func (p *peer) answer() ([]byte, *net.UDPAddr) {
	p.t.Helper()
	packet := make([]byte, 1<<16)
	if err := p.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		p.t.Fatal(err)
	}
	n, from, err := p.conn.ReadFromUDP(packet)
	if err != nil {
		p.t.Fatal(err)
	}
	return packet[:n], from
}

// request builds a packet of an operation and strings that end in a zero.
func request(op uint16, words ...string) []byte {
	packet := binary.BigEndian.AppendUint16(nil, op)
	for _, word := range words {
		packet = append(append(packet, word...), 0)
	}
	return packet
}

const (
	opRead, opWrite, opData, opAck, opError, opOptions = 1, 2, 3, 4, 5, 6
)

func ack(block uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, opAck), block)
}

// alive fails unless the server still serves.
func alive(t *testing.T, addr string) {
	t.Helper()
	if got, _, err := get(newClient(t, addr), "undionly.kpxe", "octet"); err != nil || string(got) != "loader" {
		t.Fatalf("the server does not serve any more: %q, %v", got, err)
	}
}

func TestAbsurdOptions(t *testing.T) {
	root := newRoot(t)
	_, addr := serve(t, quick(root), nil)
	content := fill(t, root, "f", 100_000)
	for _, c := range []struct {
		options []string
		want    map[string]string // what the server may answer to; none: it begins with the data
	}{
		{[]string{"blksize", "0"}, nil},
		{[]string{"blksize", "7"}, nil},
		{[]string{"blksize", "-1"}, nil},
		{[]string{"blksize", "65465"}, nil},
		{[]string{"blksize", "99999999"}, nil},
		{[]string{"blksize", "99999999999999999999999"}, nil},
		{[]string{"blksize", "text"}, nil},
		{[]string{"blksize", ""}, nil},
		{[]string{"blksize"}, nil},
		{[]string{"blksize", "512", "blksize", "1024"}, map[string]string{"blksize": "1024"}},
		{[]string{"blksize", "1468", "tsize", "0"}, map[string]string{"blksize": "1468", "tsize": "100000"}},
		{[]string{"tsize", "0"}, map[string]string{"tsize": "100000"}},
		{[]string{"tsize", "5"}, map[string]string{"tsize": "100000"}},
		{[]string{"tsize", "-1"}, map[string]string{"tsize": "100000"}},
		{[]string{"tsize", "text"}, map[string]string{"tsize": "100000"}},
		{[]string{"timeout", "0"}, nil},
		{[]string{"windowsize", "65535"}, nil},
		{[]string{"rollover", "1", "", "", "multicast", ""}, nil},
		{[]string{"nonsense", strings.Repeat("x", 300)}, nil},
	} {
		t.Run(strings.Join(c.options, " "), func(t *testing.T) {
			p := newPeer(t, addr)
			p.send(p.addr, request(opRead, append([]string{"f", "octet"}, c.options...)...))
			packet, from := p.answer()
			block := 512
			if op := binary.BigEndian.Uint16(packet); op == opOptions {
				words := bytes.Split(packet[2:], []byte{0})
				got := map[string]string{}
				for i := 0; i+1 < len(words); i += 2 {
					got[string(words[i])] = string(words[i+1])
				}
				if fmt.Sprint(got) != fmt.Sprint(c.want) {
					t.Fatalf("answered with the options %v, want %v", got, c.want)
				}
				fmt.Sscan(got["blksize"], &block)
				p.send(from, ack(0))
				packet, _ = p.answer()
			} else if c.want != nil {
				t.Fatalf("answered by operation %d", op)
			}
			if want := append([]byte{0, opData, 0, 1}, content[:block]...); !bytes.Equal(packet, want) {
				t.Errorf("the first block has %d bytes, or others", len(packet)-4)
			}
			p.send(from, append([]byte{0, opError, 0, 0}, "enough\x00"...))
		})
	}
	alive(t, addr)
}

// An answer to this request is longer than the library has room for, which makes it panic.
func TestAnAnswerThatOutgrowsItsBuffer(t *testing.T) {
	root := newRoot(t)
	s, addr := serve(t, quick(root), nil)
	fill(t, root, "v", 12_345_678)
	p := newPeer(t, addr)
	size := 516 - len(request(opRead, "v", "", "blksize", "", "tsize", "0"))
	p.send(p.addr, request(opRead, "v", "", "blksize", strings.Repeat("0", size-3)+"512", "tsize", "0"))
	for s.requests(t, broken) == 0 {
		time.Sleep(time.Millisecond)
	}
	alive(t, addr)
}

func TestModes(t *testing.T) {
	root := newRoot(t)
	_, addr := serve(t, quick(root), nil)
	if err := os.WriteFile(root+"/text", []byte("one\ntwo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]string{"octet": "one\ntwo\n", "netascii": "one\r\ntwo\r\n", "mail": "one\ntwo\n", "": "one\ntwo\n",
		strings.Repeat("m", 400): "one\ntwo\n"} {
		p := newPeer(t, addr)
		p.send(p.addr, request(opRead, "text", mode))
		packet, from := p.answer()
		if string(packet) != "\x00\x03\x00\x01"+want {
			t.Errorf("mode %.10q: %q", mode, packet)
		}
		p.send(from, ack(1))
	}
	alive(t, addr)
}

func TestPacketsThatAreNoRequests(t *testing.T) {
	root := newRoot(t)
	s, addr := serve(t, quick(root), nil)
	seed := rand.New(rand.NewSource(1))
	p := newPeer(t, addr)
	packets := [][]byte{{}, {0}, {0, 1}, {0, 1, 0}, {0, 2}, {0, 1, 'a', 'b'}, {0, 1, 0, 0}, {0, 7}, {255, 255, 0, 0}, ack(1),
		request(opData, "x"), request(opError, "x"), request(opOptions, "blksize", "512"), request(opRead), request(opWrite),
		request(opRead, strings.Repeat("a", 60_000), "octet"), bytes.Repeat([]byte{0, 1}, 5000)}
	for range 300 {
		packet := make([]byte, seed.Intn(700))
		seed.Read(packet)
		if len(packet) > 1 && seed.Intn(2) == 0 {
			packet[0], packet[1] = 0, byte(seed.Intn(8))
		}
		packets = append(packets, packet)
	}
	for _, packet := range packets {
		p.send(p.addr, packet)
	}
	alive(t, addr)
	if n := s.requests(t, malformed); n == 0 {
		t.Error("none was counted as malformed")
	}
}

// Peers that vanish after the first block cost their place until they are given up, and nothing after that.
func TestHalfOpenTransfers(t *testing.T) {
	root := newRoot(t)
	s, addr := serve(t, quick(root), nil)
	fill(t, root, "ramdisk", 1<<20)
	const many = 100
	for i := range many {
		p := newPeer(t, addr)
		p.send(p.addr, request(opRead, "ramdisk", "octet", "blksize", "1024"))
		_, from := p.answer()
		if i%2 == 0 {
			// This one takes a block before it falls silent.
			p.send(from, ack(0))
			p.answer()
		}
	}
	alive(t, addr)
	for s.requests(t, broken) < many {
		time.Sleep(10 * time.Millisecond)
	}
	for len(s.running) > 0 {
		time.Sleep(time.Millisecond)
	}
	alive(t, addr)
}

// A stranger can neither end a transfer nor feed it acknowledgements, and a peer that acknowledges what was not sent gets
// no more than its block.
func TestForeignAndFalseAcknowledgements(t *testing.T) {
	root := newRoot(t)
	_, addr := serve(t, quick(root), nil)
	content := fill(t, root, "file", 1200)
	p, stranger := newPeer(t, addr), newPeer(t, addr)
	p.send(p.addr, request(opRead, "file", "octet"))
	packet, from := p.answer()
	stranger.send(from, append([]byte{0, opError, 0, 0}, "die\x00"...))
	stranger.send(from, ack(1))
	p.send(from, ack(700))
	p.send(from, []byte{0})
	p.send(from, request(opOptions, "blksize", "8"))
	var got []byte
	for want := uint16(1); ; {
		if block := binary.BigEndian.Uint16(packet[2:]); block == want {
			got, want = append(got, packet[4:]...), want+1
		}
		p.send(from, ack(want-1))
		if len(got) == len(content) {
			break
		}
		packet, _ = p.answer()
	}
	if !bytes.Equal(got, content) {
		t.Error("the file came out otherwise")
	}
	alive(t, addr)
}

func TestFiveHundredReadersAtOnce(t *testing.T) {
	root := newRoot(t)
	cfg := quick(root)
	cfg.Timeout, cfg.Retries = time.Second, 10
	_, addr := serve(t, cfg, nil)
	want := fill(t, root, "ramdisk", 16<<10)
	var all sync.WaitGroup
	errs := make(chan error, 500)
	for range cap(errs) {
		all.Go(func() {
			c := newClient(t, addr)
			c.SetTimeout(time.Second)
			c.SetRetries(60)
			c.SetBlockSize(1432)
			got, _, err := get(c, "ramdisk", "octet")
			if err == nil && !bytes.Equal(got, want) {
				err = errors.New("other bytes came")
			}
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// The end of the server does not wait for a file to be read to its end.
func TestClosingCutsTransfers(t *testing.T) {
	root := newRoot(t)
	s, addr := serve(t, quick(root), nil)
	fill(t, root, "ramdisk", 1<<20)
	p := newPeer(t, addr)
	p.send(p.addr, request(opRead, "ramdisk", "octet"))
	_, from := p.answer()
	s.end(errClosing)
	p.send(from, ack(1))
	packet, _ := p.answer()
	if !bytes.HasPrefix(packet, []byte{0, opError}) || !bytes.Contains(packet, []byte(errClosing.Error())) {
		t.Errorf("the machine was told %q", packet)
	}
}
