// The outsider: what Debian's Go packages sumdb/note and sumdb/tlog say of notes, proofs and tiles.
//
// It reads one question a line as JSON and writes one answer a line. All cryptography and all hashing of trees is that
// of these packages; of its own it only takes the files of C2SP apart, as their specifications say.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Do      string  // which of the questions below
	Vkey    string  // the verifier key that is trusted
	Skey    string  // the signing key
	Name    string  // of a new key
	Text    string  // of a note
	Note    []byte  // a signed note; for consistency, the older checkpoint
	Proof   []byte  // a proof's file
	Record  []byte  // the stored bytes of a record
	Folder  string  // where tiles are
	Indexes []int64 // the records to be proved from tiles
	Olds    []int64 // the older trees to be proved from tiles
	Sizes   []int64 // of trees to be grown
}

type answer struct {
	Error  string     `json:",omitempty"`
	Text   string     `json:",omitempty"`
	Vkey   string     `json:",omitempty"`
	Skey   string     `json:",omitempty"`
	Note   []byte     `json:",omitempty"`
	Proofs [][][]byte `json:",omitempty"` // of the records, then of the older trees
	Leaves [][]byte   `json:",omitempty"` // the records that were proved
	Grown  []grown    `json:",omitempty"`
}

// A tree of the records "record 0", "record 1" and so on, signed, with the proofs of some of them and of older trees.
type grown struct {
	Size        int64
	Checkpoint  string
	Inclusion   map[string][]string // by index
	Consistency map[string][]string // by the size of the older tree
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		a := &answer{}
		if err := json.Unmarshal(line, &q); err != nil {
			a.Error = "question: " + err.Error()
		} else if err := ask(&q, a); err != nil {
			*a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			panic(err)
		}
	}
}

func ask(q *question, a *answer) error {
	switch q.Do {
	case "open":
		_, text, err := open(q.Note, q.Vkey)
		a.Text = text
		return err
	case "generate":
		skey, vkey, err := note.GenerateKey(rand.Reader, q.Name)
		a.Skey, a.Vkey = skey, vkey
		return err
	case "sign":
		signer, err := note.NewSigner(q.Skey)
		if err != nil {
			return err
		}
		a.Note, err = note.Sign(&note.Note{Text: q.Text}, signer)
		return err
	case "inclusion":
		return inclusion(q.Proof, q.Record, q.Vkey)
	case "consistency":
		return consistency(q.Proof, q.Note, q.Vkey)
	case "tiles":
		return tiles(q, a)
	case "grow":
		return grow(q, a)
	}
	return errors.New("nobody knows how to do " + q.Do)
}

// open verifies a checkpoint, and takes it apart.
func open(msg []byte, vkey string) (tlog.Tree, string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, "", err
	}
	n, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, "", err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		return tlog.Tree{}, "", errors.New("not a checkpoint of the key's log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, "", errors.New("not a size: " + lines[1])
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, n.Text, err
}

// parts takes a proof's file apart: its head lines, its hashes, and the checkpoint.
func parts(file []byte, head int) ([]string, []tlog.Hash, []byte, error) {
	before, after, found := strings.Cut(string(file), "\n\n")
	lines := strings.Split(before, "\n")
	if !found || len(lines) < head {
		return nil, nil, nil, errors.New("not a proof")
	}
	var hashes []tlog.Hash
	for _, line := range lines[head:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, nil, nil, err
		}
		hashes = append(hashes, hash)
	}
	return lines[:head], hashes, []byte(after), nil
}

func number(line, prefix string) (int64, error) {
	digits := strings.TrimPrefix(line, prefix)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || prefix+strconv.FormatInt(n, 10) != line {
		return 0, errors.New("not a line with a number: " + line)
	}
	return n, nil
}

func inclusion(file, record []byte, vkey string) error {
	head, hashes, checkpoint, err := parts(file, 2)
	if err != nil {
		return err
	}
	if head[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not an inclusion proof")
	}
	index, err := number(head[1], "index ")
	if err != nil {
		return err
	}
	tree, _, err := open(checkpoint, vkey)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(record))
}

func consistency(file, older []byte, vkey string) error {
	head, hashes, checkpoint, err := parts(file, 1)
	if err != nil {
		return err
	}
	size, err := number(head[0], "old ")
	if err != nil {
		return err
	}
	tree, _, err := open(checkpoint, vkey)
	if err != nil {
		return err
	}
	before, _, err := open(older, vkey)
	if err != nil {
		return err
	}
	if before.N != size {
		return errors.New("the proof is of another older tree")
	}
	return tlog.CheckTree(hashes, tree.N, tree.Hash, before.N, before.Hash)
}

// A folder with tiles. Go's paths have the height of a tile between "tile" and its level; those of C2SP do not.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) path(t tlog.Tile) string {
	return filepath.Join(string(f), "tile", strings.TrimPrefix(t.Path(), "tile/8/"))
}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, t := range tiles {
		content, err := os.ReadFile(f.path(t))
		if err != nil {
			return nil, err
		}
		data = append(data, content)
	}
	return data, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// record reads one record from its bundle.
func (f folder) record(tree tlog.Tree, index int64) ([]byte, error) {
	t := tlog.Tile{H: 8, L: 0, N: index / 256, W: 256}
	if t.N == tree.N/256 {
		t.W = int(tree.N % 256)
	}
	path := strings.TrimPrefix(t.Path(), "tile/8/0/")
	data, err := os.ReadFile(filepath.Join(string(f), "tile", "entries", path))
	if err != nil {
		return nil, err
	}
	for n := int64(0); len(data) >= 2; n++ {
		size := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+size {
			break
		}
		if n == index%256 {
			return data[2 : 2+size], nil
		}
		data = data[2+size:]
	}
	return nil, fmt.Errorf("%s has no record %d", path, index)
}

// tiles proves records and older trees from the files of a folder, and nothing else.
func tiles(q *question, a *answer) error {
	f := folder(q.Folder)
	checkpoint, err := os.ReadFile(filepath.Join(q.Folder, "checkpoint"))
	if err != nil {
		return err
	}
	tree, _, err := open(checkpoint, q.Vkey)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, f)
	if root, err := tlog.TreeHash(tree.N, reader); err != nil || root != tree.Hash {
		return fmt.Errorf("the root of the tiles is %s: %v", root, err)
	}
	for _, index := range q.Indexes {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return err
		}
		record, err := f.record(tree, index)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(record)); err != nil {
			return err
		}
		a.Proofs, a.Leaves = append(a.Proofs, bytesOf(proof)), append(a.Leaves, record)
	}
	for _, old := range q.Olds {
		proof, err := tlog.ProveTree(tree.N, old, reader)
		if err != nil {
			return err
		}
		root, err := tlog.TreeHash(old, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old, root); err != nil {
			return err
		}
		a.Proofs = append(a.Proofs, bytesOf(proof))
	}
	return nil
}

// grow makes trees and their proofs from the first record on: every hash and every signature is made here.
func grow(q *question, a *answer) error {
	signer, err := note.NewSigner(q.Skey)
	if err != nil {
		return err
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	n := int64(0)
	for _, size := range q.Sizes {
		for ; n < size; n++ {
			hashes, err := tlog.StoredHashes(n, []byte(fmt.Sprintf("record %d", n)), reader)
			if err != nil {
				return err
			}
			stored = append(stored, hashes...)
		}
		g := grown{Size: size, Inclusion: map[string][]string{}, Consistency: map[string][]string{}}
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), size, root)
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			return err
		}
		g.Checkpoint = string(signed)
		for _, index := range q.Indexes {
			if index < size {
				proof, err := tlog.ProveRecord(size, index, reader)
				if err != nil {
					return err
				}
				g.Inclusion[strconv.FormatInt(index, 10)] = textsOf(proof)
			}
		}
		for _, old := range q.Olds {
			if old <= size {
				proof, err := tlog.ProveTree(size, old, reader)
				if err != nil {
					return err
				}
				g.Consistency[strconv.FormatInt(old, 10)] = textsOf(proof)
			}
		}
		a.Grown = append(a.Grown, g)
	}
	return nil
}

func textsOf(hashes []tlog.Hash) []string {
	found := []string{}
	for _, hash := range hashes {
		found = append(found, hash.String())
	}
	return found
}

func bytesOf(hashes []tlog.Hash) [][]byte {
	found := [][]byte{}
	for _, hash := range hashes {
		found = append(found, append([]byte(nil), hash[:]...))
	}
	return found
}
