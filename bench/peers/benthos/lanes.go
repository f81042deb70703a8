// Records fetched → batches handed on, and acknowledgements → the offset that may be committed.
// Knows no network: input.go holds that.
package main

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lane is one partition. Not safe for concurrent use.
type lane struct {
	waiting []*kgo.Record
	open    []*batch // handed on and above the frontier, in order of offsets
	pending int      // messages in open that are not yet acknowledged
	listed  bool     // in the list of lanes that may have a batch to hand on
	paused  bool
	gone    bool // the partition was taken away: late acknowledgements count no more
}

// batch is what was handed on at once, all of one partition.
type batch struct {
	records []*kgo.Record
	acked   bool
}

// next takes the next batch, nil when there is none or when it must wait. No more than `limit`
// messages are pending at once, except that one batch always may: a limit of 1 is lock-step.
func (l *lane) next(limit, most int) *batch {
	size := min(len(l.waiting), most)
	if size == 0 || (l.pending > 0 && l.pending+size > limit) {
		return nil
	}
	taken := &batch{records: slices.Clone(l.waiting[:size])}
	l.waiting = l.waiting[size:]
	l.open = append(l.open, taken)
	l.pending += size
	return taken
}

// ack notes that a batch was delivered. It returns the last record below which everything has
// been delivered, when that has moved.
func (l *lane) ack(done *batch) *kgo.Record {
	done.acked = true
	l.pending -= len(done.records)
	var frontier *kgo.Record
	for len(l.open) > 0 && l.open[0].acked {
		frontier = l.open[0].records[len(l.open[0].records)-1]
		l.open = l.open[1:]
	}
	return frontier
}
