package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Put remembers value, as JSON, under a key of a node.
func (d *DB) Put(node, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding journal entry %s of node %s: %w", key, node, err)
	}
	return d.commit(func(tx *transaction) error { return tx.put(node, key, data) })
}

// Get reads what Put wrote into value, which is left alone when there is nothing; ok says whether there was.
func (d *DB) Get(node, key string, value any) (ok bool, err error) {
	var data []byte
	err = d.view(func(tx *bbolt.Tx) error {
		data = journalEntry(tx, node, key)
		return nil
	})
	if err == nil && data == nil {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, value)
	}
	if err != nil {
		return false, fmt.Errorf("reading journal entry %s of node %s: %w", key, node, err)
	}
	return true, nil
}

// Forget removes everything that is remembered about a node.
func (d *DB) Forget(node string) error {
	d.timelines.forget(node)
	return d.commit(func(tx *transaction) error { return errors.Join(tx.forget(node), tx.forgetTimeline(node)) })
}

func (tx *transaction) put(node, key string, data []byte) error {
	b, err := tx.bolt.Bucket(journalBucket).CreateBucketIfNotExists([]byte(node))
	if err == nil {
		err = b.Put([]byte(key), data)
	}
	if err != nil {
		return fmt.Errorf("writing journal entry %s of node %s: %w", key, node, err)
	}
	return nil
}

func (tx *transaction) forget(node string) error {
	journal := tx.bolt.Bucket(journalBucket)
	if journal.Bucket([]byte(node)) == nil {
		return nil
	}
	if err := journal.DeleteBucket([]byte(node)); err != nil {
		return fmt.Errorf("forgetting the journal of node %s: %w", node, err)
	}
	return nil
}

// journalEntry returns a copy of an entry, nil when there is none.
func journalEntry(tx *bbolt.Tx, node, key string) []byte {
	b := tx.Bucket(journalBucket).Bucket([]byte(node))
	if b == nil {
		return nil
	}
	return bytes.Clone(b.Get([]byte(key)))
}
