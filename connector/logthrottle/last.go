package logthrottle

import (
	"bytes"
	"encoding/json"
	"sync"
)

// How many lines are kept, and how much memory they may take: a support bundle has them,
// and 2,000 lines are hours of a daemon that works and minutes of one that fails.
const (
	keepLines = 2000
	keepBytes = 2 << 20
)

// Last keeps the most recent lines, each a JSON object.
type Last struct {
	mu      sync.Mutex // guards what follows
	lines   [][]byte   // a ring once it is full
	next    int
	bytes   int
	dropped int
}

func newLast() *Last { return &Last{lines: make([][]byte, keepLines)} }

// Write implements zapcore.WriteSyncer: it gets one line at a time.
func (l *Last) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(line)
	l.put(bytes.Clone(bytes.TrimSpace(line)))
	for oldest := 1; l.bytes > keepBytes && oldest < keepLines; oldest++ {
		l.drop((l.next + oldest - 1) % keepLines)
	}
	return n, nil
}

func (l *Last) put(line []byte) {
	l.drop(l.next)
	l.lines[l.next] = line
	l.bytes += len(line)
	l.next = (l.next + 1) % keepLines
}

func (l *Last) drop(i int) {
	if l.lines[i] != nil {
		l.dropped++
		l.bytes -= len(l.lines[i])
		l.lines[i] = nil
	}
}

// Sync implements zapcore.WriteSyncer.
func (*Last) Sync() error { return nil }

// Lines returns the lines that are kept, oldest first, and how many older ones are not.
func (l *Last) Lines() (lines []json.RawMessage, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines = []json.RawMessage{}
	for i := range keepLines {
		if line := l.lines[(l.next+i)%keepLines]; line != nil {
			lines = append(lines, line)
		}
	}
	return lines, l.dropped
}
