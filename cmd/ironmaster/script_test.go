package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ironmaster/ironmaster/store/local"
)

func TestMain(m *testing.M) {
	program := func() { os.Exit(run(os.Args)) }
	testscript.Main(m, map[string]func(){"ironmaster": program, "ironic-conductor": program})
}

// TestScripts runs the program as its users do.
func TestScripts(t *testing.T) {
	commands := conductorCommands(t)
	commands["mkimage"], commands["mkstate"] = makeImage, makeState
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			// The configuration of the machine that runs the test is none of its business.
			empty := filepath.Join(env.WorkDir, "empty.conf")
			env.Setenv("IRONIC_CONFIG_FILE", empty)
			return os.WriteFile(empty, nil, 0o600)
		},
		Cmds: commands,
	})
}

// makeImage writes an image: mkimage mbr|qcow2|backing|filesystem FILE.
func makeImage(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mkimage KIND FILE")
	}
	image := make([]byte, 1<<20)
	switch args[0] {
	case "mbr":
		// One Linux partition from sector 2048 on.
		copy(image[446:], []byte{0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0})
		image[510], image[511] = 0x55, 0xaa
	case "filesystem":
		binary.LittleEndian.PutUint16(image[1080:], 0xef53) // ext4's magic number
	case "qcow2", "backing":
		copy(image, "QFI\xfb")
		binary.BigEndian.PutUint32(image[4:], 3)
		binary.BigEndian.PutUint32(image[20:], 16)
		binary.BigEndian.PutUint64(image[24:], 2<<30)
		binary.BigEndian.PutUint32(image[36:], 4) // An entry of the L1 table stands for 512 MiB.
		binary.BigEndian.PutUint64(image[40:], 3<<16)
		binary.BigEndian.PutUint64(image[48:], 1<<16)
		binary.BigEndian.PutUint32(image[56:], 1)
		binary.BigEndian.PutUint32(image[96:], 4)
		binary.BigEndian.PutUint32(image[100:], 104)
		if args[0] == "backing" {
			const name = "/etc/shadow"
			binary.BigEndian.PutUint64(image[8:], 512)
			binary.BigEndian.PutUint32(image[16:], uint32(len(name)))
			copy(image[512:], name)
		}
	default:
		ts.Fatalf("unknown image %s", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), image, 0o600))
}

// makeState writes what a conductor leaves that died with a lock: mkstate FILE NODE PURPOSE.
func makeState(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: mkstate FILE NODE PURPOSE")
	}
	db, err := local.Open(ts.MkAbs(args[0]), local.Options{})
	ts.Check(err)
	_, err = db.TryLock(local.Lock{Node: args[1], Purpose: args[2], RequestID: "req-7"})
	ts.Check(err)
	db.Note(args[1], local.Moment{At: time.Now(), Kind: "state", Text: "available -> deploying", Turn: true})
	ts.Check(db.Close())
}
