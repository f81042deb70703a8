// A Kafka topic → batches for the engine, as a member of a consumer group, at least once.
//
// It does what the Kafka inputs of the distributions document: messages of a partition are
// delivered in parallel up to checkpoint_limit, a batch holds messages of one partition only, an
// offset is committed when it and all before it were delivered, and what was refused downstream is
// given out again. It is kinder than they are in one point: a batch never waits to become full.
package main

import (
	"context"
	"errors"
	"sync"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A partition with more than so many waiting records is not fetched from until it has few.
const (
	waitingMost = 4096
	waitingFew  = 1024
)

func init() {
	spec := service.NewConfigSpec().
		Summary("Consumes a topic as a member of a group, by franz-go.").
		Field(service.NewStringListField("seed_brokers")).
		Field(service.NewStringField("topic")).
		Field(service.NewStringField("consumer_group")).
		Field(service.NewIntField("checkpoint_limit").
			Description("Messages of a partition that may be delivered in parallel.").Default(1024)).
		Field(service.NewIntField("batch_count").
			Description("The most messages in a batch, all of one partition.").Default(1))
	service.MustRegisterBatchInput("kafka_group", spec, newInput)
}

type input struct {
	options         []kgo.Opt
	checkpointLimit int
	batchCount      int
	log             *service.Logger

	client *kgo.Client
	stop   context.CancelFunc
	wake   chan struct{} // holds one token when there may be something in ready

	lock  sync.Mutex
	lanes map[int32]*lane
	ready []*lane // each gets its turn
}

func newInput(conf *service.ParsedConfig, res *service.Resources) (service.BatchInput, error) {
	in := &input{log: res.Logger(), wake: make(chan struct{}, 1), lanes: map[int32]*lane{}}
	brokers, e1 := conf.FieldStringList("seed_brokers")
	topic, e2 := conf.FieldString("topic")
	group, e3 := conf.FieldString("consumer_group")
	var e4, e5 error
	in.checkpointLimit, e4 = conf.FieldInt("checkpoint_limit")
	in.batchCount, e5 = conf.FieldInt("batch_count")
	if err := errors.Join(e1, e2, e3, e4, e5); err != nil {
		return nil, err
	}
	in.options = []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(), // every 5 s, what was marked by ack
		// No partition is taken away between a poll and its offer.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, gone map[string][]int32) {
			in.drop(gone)
			if err := client.CommitMarkedOffsets(ctx); err != nil {
				in.log.Warnf("commit at a rebalance: %v", err)
			}
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			in.drop(gone)
		}),
	}
	return service.AutoRetryNacksBatched(in), nil
}

// Connect joins the group. The engine calls it until it succeeds.
func (in *input) Connect(context.Context) error {
	client, err := kgo.NewClient(in.options...)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	in.client, in.stop = client, stop
	go in.poll(ctx, client)
	return nil
}

// ReadBatch waits for a batch. Its ack is called once it was delivered, in whatever order.
func (in *input) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	for {
		if from, taken := in.take(); taken != nil {
			messages := make(service.MessageBatch, len(taken.records))
			for i, record := range taken.records {
				messages[i] = service.NewMessage(record.Value)
				messages[i].MetaSetMut("kafka_key", string(record.Key))
			}
			// Never with an error: AutoRetryNacks keeps those for itself.
			ack := func(context.Context, error) error {
				in.ack(from, taken)
				return nil
			}
			return messages, ack, nil
		}
		select {
		case <-in.wake:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// Close commits what was delivered and leaves the group.
func (in *input) Close(ctx context.Context) error {
	if in.client == nil {
		return nil
	}
	in.stop()
	err := in.client.CommitMarkedOffsets(ctx)
	in.client.CloseAllowingRebalance()
	return err
}

func (in *input) poll(ctx context.Context, client *kgo.Client) {
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(topic string, partition int32, err error) {
			if ctx.Err() == nil {
				in.log.Warnf("fetch from %s/%d: %v", topic, partition, err)
			}
		})
		fetches.EachPartition(func(from kgo.FetchTopicPartition) {
			if len(from.Records) > 0 && in.offer(from.Partition, from.Records) {
				client.PauseFetchPartitions(map[string][]int32{from.Topic: {from.Partition}})
			}
		})
		client.AllowRebalance()
	}
}

// offer takes what was fetched; true when the partition is to be paused.
func (in *input) offer(partition int32, records []*kgo.Record) bool {
	in.lock.Lock()
	defer in.lock.Unlock()
	to := in.lanes[partition]
	if to == nil {
		to = &lane{}
		in.lanes[partition] = to
	}
	to.waiting = append(to.waiting, records...)
	in.list(to)
	if to.paused || len(to.waiting) <= waitingMost {
		return false
	}
	to.paused = true
	return true
}

// take hands out the batch whose turn it is, nil when there is none.
func (in *input) take() (*lane, *batch) {
	in.lock.Lock()
	for len(in.ready) > 0 {
		from := in.ready[0]
		in.ready = in.ready[1:]
		from.listed = false
		if from.gone {
			continue
		}
		taken := from.next(in.checkpointLimit, in.batchCount)
		if taken == nil {
			continue // an ack lists it again
		}
		in.list(from)
		resume := from.paused && len(from.waiting) < waitingFew
		if resume {
			from.paused = false
		}
		in.lock.Unlock()
		if resume {
			record := taken.records[0]
			in.client.ResumeFetchPartitions(map[string][]int32{record.Topic: {record.Partition}})
		}
		return from, taken
	}
	in.lock.Unlock()
	return nil, nil
}

func (in *input) ack(from *lane, done *batch) {
	in.lock.Lock()
	defer in.lock.Unlock()
	if from.gone {
		return
	}
	if frontier := from.ack(done); frontier != nil {
		in.client.MarkCommitRecords(frontier)
	}
	in.list(from)
}

// list puts a lane at the end of those that may have something to hand on. Holds the lock.
func (in *input) list(one *lane) {
	if one.listed || len(one.waiting) == 0 {
		return
	}
	one.listed = true
	in.ready = append(in.ready, one)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *input) drop(gone map[string][]int32) {
	in.lock.Lock()
	defer in.lock.Unlock()
	for _, partitions := range gone {
		for _, partition := range partitions {
			if one := in.lanes[partition]; one != nil {
				one.gone = true
				delete(in.lanes, partition)
			}
		}
	}
}
