// franz-go against a broker: records moved from topic to topic by a group within transactions, each once.
//
// Usage: go run . BOOTSTRAP; prints what it saw and ends with 0 if all of it was right.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	records = 300
	limit   = 60 * time.Second
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(os.Args[1]), kgo.AllowAutoTopicCreation())...)
	must(err)
	return made
}

// move reads the input within transactions and writes it to the output, until all of it has been moved.
func move(ctx context.Context, name, input, output string) (transactions int) {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(os.Args[1]), kgo.AllowAutoTopicCreation(), kgo.TransactionalID(name), kgo.ConsumerGroup(name),
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

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	name := fmt.Sprint("go-", time.Now().UnixNano())
	input, output := name+"-in", name+"-out"
	producer := client()
	for number := 0; number < records; number++ {
		record := &kgo.Record{Topic: input, Value: []byte(fmt.Sprint(number))}
		producer.Produce(ctx, record, func(_ *kgo.Record, err error) { must(err) })
	}
	must(producer.Flush(ctx))
	producer.Close()
	fmt.Println("transactions:", move(ctx, name, input, output))
	reader := client(kgo.ConsumeTopics(output), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen, count := map[string]bool{}, 0
	for len(seen) < records {
		fetched := reader.PollFetches(ctx)
		must(fetched.Err())
		fetched.EachRecord(func(record *kgo.Record) { seen[string(record.Value)] = true; count++ })
	}
	fmt.Println("read committed:", len(seen), "records, repeated:", count-len(seen))
	if count != records {
		os.Exit(1)
	}
}
