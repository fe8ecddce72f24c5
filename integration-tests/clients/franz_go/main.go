// franz-go against a broker.
//
// Usage: client BOOTSTRAP SASL_BOOTSTRAP CA_FILE; prints what it saw, and a line for each feature.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	partitions = 3
	limit      = 30 * time.Second
)

var run = fmt.Sprint(time.Now().UnixNano())

func name(what string) string { return "go-" + what + "-" + run }

// must ends the present feature.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(os.Args[1]), kgo.AllowAutoTopicCreation()}, options...)...)
	must(err)
	return made
}

func produce(ctx context.Context, producer *kgo.Client, topic string, records int) {
	for number := 0; number < records; number++ {
		record := &kgo.Record{Topic: topic, Value: []byte(fmt.Sprint(number))}
		producer.Produce(ctx, record, nil)
	}
	must(producer.Flush(ctx))
}

// read takes records from the beginning until it has that many, and returns how often a value came again.
func read(ctx context.Context, reader *kgo.Client, records int) (repeated int) {
	seen := map[string]bool{}
	for len(seen) < records {
		fetched := reader.PollFetches(ctx)
		must(fetched.Err())
		fetched.EachRecord(func(record *kgo.Record) {
			if seen[string(record.Value)] {
				repeated++
			}
			seen[string(record.Value)] = true
		})
	}
	return repeated
}

func roundTrip(ctx context.Context, topic string, options ...kgo.Opt) {
	producer := client(options...)
	defer producer.Close()
	produce(ctx, producer, topic, 100)
	start := kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())
	reader := client(append(options, kgo.ConsumeTopics(topic), start)...)
	defer reader.Close()
	if repeated := read(ctx, reader, 100); repeated > 0 {
		panic(fmt.Sprint(repeated, " records came again"))
	}
}

func records(ctx context.Context) { roundTrip(ctx, name("records")) }

func codecs(ctx context.Context) {
	for codec, compression := range map[string]kgo.CompressionCodec{"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		roundTrip(ctx, name(codec), kgo.ProducerBatchCompression(compression))
	}
}

func create(ctx context.Context, on *kgo.Client, topic string) {
	request := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, partitions, 1
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(ctx, on)
	must(err)
	must(kerr.ErrorForCode(response.Topics[0].ErrorCode))
}

func groups(ctx context.Context) {
	topic, group := name("groups"), name("group")
	admin := client()
	defer admin.Close()
	create(ctx, admin, topic)
	shares := make(chan [2]int, 100)
	for member := 0; member < 2; member++ {
		count := 0
		assigned := func(step int) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
				count += step * len(changed[topic])
				shares <- [2]int{member, count}
			}
		}
		joined := client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.OnPartitionsAssigned(assigned(1)),
			kgo.OnPartitionsRevoked(assigned(-1)))
		defer joined.Close()
	}
	have := [2]int{}
	for have[0]+have[1] != partitions || have[0] == 0 || have[1] == 0 {
		select {
		case share := <-shares:
			have[share[0]] = share[1]
		case <-ctx.Done():
			panic(fmt.Sprint("two members have ", have))
		}
	}
}

// move reads the input within transactions and writes it to the output, until all of it has been moved.
func move(ctx context.Context, id, input, output string, records int) (transactions int) {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(os.Args[1]), kgo.AllowAutoTopicCreation(), kgo.TransactionalID(id), kgo.ConsumerGroup(id),
		kgo.ConsumeTopics(input), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	must(err)
	defer session.Close()
	for moved := 0; moved < records; transactions++ {
		fetched := session.PollRecords(ctx, 50)
		must(fetched.Err())
		must(session.Begin())
		fetched.EachRecord(func(record *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Topic: output, Value: record.Value}, nil)
		})
		committed, err := session.End(ctx, kgo.TryCommit)
		must(err)
		if committed {
			moved += fetched.NumRecords()
		}
	}
	return transactions
}

func transactions(ctx context.Context) {
	input, output := name("txn-in"), name("txn-out")
	producer := client()
	produce(ctx, producer, input, 300)
	producer.Close()
	fmt.Println("transactions:", move(ctx, name("txn"), input, output, 300))
	reader := client(kgo.ConsumeTopics(output), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	if repeated := read(ctx, reader, 300); repeated > 0 {
		panic(fmt.Sprint(repeated, " records came again"))
	}
}

func admin(ctx context.Context) {
	topic := name("admin")
	on := client()
	defer on.Close()
	create(ctx, on, topic)
	growing := kmsg.NewPtrCreatePartitionsRequest()
	wanted := kmsg.NewCreatePartitionsRequestTopic()
	wanted.Topic, wanted.Count = topic, partitions+1
	growing.Topics = append(growing.Topics, wanted)
	grown, err := growing.RequestWith(ctx, on)
	must(err)
	must(kerr.ErrorForCode(grown.Topics[0].ErrorCode))
	deleting := kmsg.NewPtrDeleteTopicsRequest()
	deleting.TopicNames = []string{topic}
	named := kmsg.NewDeleteTopicsRequestTopic()
	named.Topic = kmsg.StringPtr(topic)
	deleting.Topics = append(deleting.Topics, named)
	deleted, err := deleting.RequestWith(ctx, on)
	must(err)
	must(kerr.ErrorForCode(deleted.Topics[0].ErrorCode))
}

func saslSsl(ctx context.Context) {
	authority, err := os.ReadFile(os.Args[3])
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	user := scram.Auth{User: "alice", Pass: "alice-secret"}
	mechanisms := []sasl.Mechanism{plain.Auth{User: "alice", Pass: "alice-secret"}.AsMechanism(),
		user.AsSha256Mechanism(), user.AsSha512Mechanism()}
	for _, mechanism := range mechanisms {
		roundTrip(ctx, name(strings.ToLower(mechanism.Name())), kgo.SeedBrokers(os.Args[2]),
			kgo.DialTLSConfig(&tls.Config{RootCAs: roots}), kgo.SASL(mechanism))
	}
}

func test(feature string, test func(context.Context)) {
	defer func() {
		if fault := recover(); fault != nil {
			fmt.Println("feature", feature, "FAILED", fault)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	test(ctx)
	fmt.Println("feature", feature, "ok")
}

func main() {
	test("records", records)
	test("codecs", codecs)
	test("groups", groups)
	test("transactions", transactions)
	test("admin", admin)
	test("sasl_ssl", saslSsl)
}
