package local

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// Put remembers value, as JSON, under a key of a node.
func (d *DB) Put(node, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding journal entry %s of node %s: %w", key, node, err)
	}
	return d.commit(func(tx *Tx) error { return tx.put(node, key, data) })
}

// Get reads what Put wrote into value, which is left alone when there is nothing; ok says whether there was.
func (d *DB) Get(node, key string, value any) (ok bool, err error) {
	var data []byte
	err = d.view(func(tx *bbolt.Tx) error {
		data = journalEntry(tx, node, key)
		return nil
	})
	return decodeEntry(node, key, data, err, value)
}

// Node returns everything that is remembered about a node, by key.
func (d *DB) Node(node string) (map[string]json.RawMessage, error) {
	entries := make(map[string]json.RawMessage)
	err := d.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(journalBucket).Bucket([]byte(node))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			entries[string(k)] = bytes.Clone(v)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the journal of node %s: %w", node, err)
	}
	return entries, nil
}

// Nodes returns the nodes about which anything is remembered, in order.
func (d *DB) Nodes() ([]string, error) {
	var nodes []string
	err := d.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(journalBucket).ForEachBucket(func(k []byte) error {
			nodes = append(nodes, string(k))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the nodes in the journal: %w", err)
	}
	return nodes, nil
}

// Forget removes everything that is remembered about a node.
func (d *DB) Forget(node string) error {
	return d.commit(func(tx *Tx) error { return tx.Forget(node) })
}

// Put is DB.Put within a transaction.
func (tx *Tx) Put(node, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding journal entry %s of node %s: %w", key, node, err)
	}
	return tx.put(node, key, data)
}

func (tx *Tx) put(node, key string, data []byte) error {
	b, err := tx.bolt.Bucket(journalBucket).CreateBucketIfNotExists([]byte(node))
	if err == nil {
		err = b.Put([]byte(key), data)
	}
	if err != nil {
		return fmt.Errorf("writing journal entry %s of node %s: %w", key, node, err)
	}
	return nil
}

// Get is DB.Get within a transaction: it sees what the transaction has written.
func (tx *Tx) Get(node, key string, value any) (ok bool, err error) {
	return decodeEntry(node, key, journalEntry(tx.bolt, node, key), nil, value)
}

// Forget is DB.Forget within a transaction.
func (tx *Tx) Forget(node string) error {
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

func decodeEntry(node, key string, data []byte, err error, value any) (bool, error) {
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
