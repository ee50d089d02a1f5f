// Package local keeps what one worker must remember across its own death, in one bbolt file: the requests that it
// accepted (inbox), the nodes that it holds (locks), the events that it owes (outbox), and what its running flows need
// to go on (journal). What other workers must see is not here but in the shared database.
//
// Whatever a method acknowledges by returning nil is on disk by then, except where its comment says otherwise. An error
// from a method that writes means that the outcome is unknown only when the disk itself failed; a full disk, ErrFull,
// leaves everything as it was.
package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The file, format 1. Numbers are 8 bytes, big endian, so that key order is number order. A framed value is one line of
// JSON, a newline, then raw bytes.
//
//	meta/
//	    format              number of this layout
//	    epoch               number, grows at each Open
//	    probe               number, a time at which room was looked for
//	calls/                  accepted RPC calls that have not finished
//	    <number>            framed: {id, at}, body
//	finished/               calls that finished lately, in the order in which they did
//	    <number>            framed: {id, at}
//	locks/                  exclusive locks
//	    <node>              JSON of Lock
//	outbox/                 events that the broker has not confirmed
//	    <number>            framed: {id, node, topic, at, droppable}, body
//	journal/
//	    <node>/
//	        <key>           JSON
//	timeline/               what happened to nodes; files of earlier versions lack it
//	    <node>/
//	        <number>        JSON of Moment
var (
	metaBucket     = []byte("meta")
	callsBucket    = []byte("calls")
	finishedBucket = []byte("finished")
	locksBucket    = []byte("locks")
	outboxBucket   = []byte("outbox")
	journalBucket  = []byte("journal")
	timelineBucket = []byte("timeline")

	formatKey = []byte("format")
	epochKey  = []byte("epoch")
	probeKey  = []byte("probe")
)

// format is the layout that this code writes. It reads every format from 1 up to this one.
//
// What an older version can overlook keeps the number: start makes buckets that are missing, and keys of JSON that are
// missing have a zero value. So one may go back to the version before. What it cannot gets the next number, and start
// converts the file in the transaction that writes the number; the older version then refuses the file by name. A file as
// each released format was written is kept in testdata, and a test reads it.
const format = 1

var (
	// ErrCorrupt marks a file that cannot be trusted. The remedy is to move it away and start again: flows then go on
	// from the cursor in the shared database.
	ErrCorrupt = errors.New("file is corrupt")
	// ErrInUse marks a file that another process holds open.
	ErrInUse = errors.New("file is in use by another process")
	// ErrFull marks a change that was not made because the disk has no room for it. It can be tried again.
	ErrFull = errors.New("the disk is full")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("file is closed")
	// ErrReadOnly is returned by changes to a file opened with OpenReadOnly.
	ErrReadOnly = errors.New("file is open for reading only")
)

// Options tune a DB. The zero value of each field means its default.
type Options struct {
	// OpenTimeout is how long Open waits for another process to let go of the file. Default 1 s.
	OpenTimeout time.Duration
	// RememberFor is how long the id of a finished call is remembered, so that a redelivery of it is recognised.
	// Default 1 h. The newest few thousand are kept whatever their age, so that a clock that jumps loses none.
	RememberFor time.Duration
	// RememberMax bounds the number of finished ids. Default 100 000.
	RememberMax int
	// OutboxMax bounds the number of events on disk. Default 100 000. Beyond it droppable events go first, the oldest
	// of them before the others, then the oldest of all: events are lossy by contract, and a broker that stays away
	// must not fill the disk or stop a deployment.
	OutboxMax int
	// VolatileMax bounds the number of volatile events in memory. Default 4096; beyond it the oldest goes.
	VolatileMax int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Log receives what the owner of the file should know but need not act on. The zero Logger is silent.
	Log zerolog.Logger
}

func (o Options) withDefaults() Options {
	if o.OpenTimeout <= 0 {
		o.OpenTimeout = time.Second
	}
	if o.RememberFor <= 0 {
		o.RememberFor = time.Hour
	}
	if o.RememberMax <= 0 {
		o.RememberMax = 100_000
	}
	if o.OutboxMax <= 0 {
		o.OutboxMax = 100_000
	}
	if o.VolatileMax <= 0 {
		o.VolatileMax = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// DB is an open file. Its methods may be called from any goroutine.
type DB struct {
	path     string
	bolt     *bbolt.DB
	options  Options
	readOnly bool
	epoch    uint64
	aside    string // see Aside

	commits commits
	inbox   inbox
	locks   lockTable
	outbox  outbox

	timelines timelines

	closeOnce sync.Once
	closeErr  error
	// closing is closed when Close begins, closed when no more commits are taken.
	closing chan struct{}
	closed  chan struct{}
}

// Open opens the file at path for one worker, creating it (mode 0600, for it holds secrets) when it is missing; the
// directory must exist. It fails with ErrInUse when another process has the file, and with ErrCorrupt when the file
// cannot be trusted. A file that is mostly empty is compacted, since bbolt never shrinks one.
func Open(path string, o Options) (*DB, error) {
	o = o.withDefaults()
	bolt, err := openFile(path, o)
	if err != nil {
		return nil, fmt.Errorf("opening journal %s: %w", path, err)
	}
	d := newDB(path, bolt, o)
	if err := d.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening journal %s: %w", path, err), bolt.Close())
	}
	d.timelines.stopped = make(chan struct{})
	go d.keepTimelines()
	return d, nil
}

// OpenReadOnly opens an existing file to look at it while no worker runs; it fails with ErrInUse when one does. Changes
// answer ErrReadOnly, and the epoch is that of the last worker that had the file.
func OpenReadOnly(path string) (*DB, error) {
	o := Options{}.withDefaults()
	bolt, err := attach(path, o.OpenTimeout, true)
	if err != nil {
		return nil, fmt.Errorf("opening journal %s: %w", path, err)
	}
	d := newDB(path, bolt, o)
	d.readOnly = true
	_, _, err = check(bolt)
	if err == nil {
		err = d.load()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening journal %s: %w", path, err), bolt.Close())
	}
	return d, nil
}

func newDB(path string, bolt *bbolt.DB, o Options) *DB {
	d := &DB{path: path, bolt: bolt, options: o, closing: make(chan struct{}), closed: make(chan struct{})}
	d.timelines.nodes = make(map[string][]*entry)
	d.commits.lead = make(chan struct{}, 1)
	d.inbox.calls = make(map[string]*callState)
	d.locks.nodes = make(map[string][]*Lock)
	d.locks.holders = make(map[string]*Lock)
	d.outbox.wake = make(chan struct{})
	return d
}

// start makes the file this worker's own: a new epoch is on disk before anything else happens.
func (d *DB) start() error {
	err := guard(func() error {
		return d.bolt.Update(func(tx *bbolt.Tx) error { return errors.Join(d.bumpEpoch(tx), d.makeTimelines(tx)) })
	})
	if err != nil {
		return fmt.Errorf("writing a new epoch: %w", err)
	}
	return d.load()
}

// bumpEpoch takes the next epoch, but never one below the clock in seconds: when the file was lost and made anew, or an
// old copy was put back, the epoch must still be above those that this host already wrote into the shared database.
func (d *DB) bumpEpoch(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	epoch := number(meta.Get(epochKey)) + 1
	if now := d.options.Now().Unix(); now > 0 {
		epoch = max(epoch, uint64(now))
	}
	return meta.Put(epochKey, numberKey(epoch))
}

// load fills what is kept in memory.
func (d *DB) load() error {
	return d.view(func(tx *bbolt.Tx) error {
		d.epoch = number(tx.Bucket(metaBucket).Get(epochKey))
		d.locks.epoch = d.epoch
		return errors.Join(
			d.inbox.load(tx),
			d.locks.load(tx),
			d.outbox.load(tx),
		)
	})
}

// Epoch is the number of this run of the worker. It is larger at each Open.
func (d *DB) Epoch() uint64 { return d.epoch }

// Close waits for the commit under way, refuses those that wait for their turn, and lets go of the file. Held locks stay
// recorded: the next Open finds them stale.
func (d *DB) Close() error {
	d.closeOnce.Do(func() {
		close(d.closing)
		if !d.readOnly {
			<-d.timelines.stopped
			if err := d.writeTimelines(); err != nil {
				d.options.Log.Debug().Err(err).Msg("could not write what happened to nodes")
			}
		}
		close(d.closed)
		if err := d.bolt.Close(); err != nil {
			d.closeErr = fmt.Errorf("closing journal %s: %w", d.path, err)
		}
	})
	return d.closeErr
}

// view reads. The bytes that bbolt hands out are valid only within fn.
func (d *DB) view(fn func(*bbolt.Tx) error) error {
	err := guard(func() error { return d.bolt.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// numberKey is the key of a number.
func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// number reads such a key or value back; a missing one is 0.
func number(k []byte) uint64 {
	if len(k) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(k)
}
