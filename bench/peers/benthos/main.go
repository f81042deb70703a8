// A pipeline of the Benthos core: the stream engine and the http_client output that Bento shares,
// from the library that Bento is a fork of. Bento's own Kafka inputs live in a distribution that
// could not be had, so the input is ours (input.go); everything else is the library's, and the
// pipeline is a YAML file such as its users write.
//
//	benthos-core ordered.yaml BOOTSTRAP=localhost:9092 TOPIC=app-events GROUP=g URL=http://…
//
// The assignments stand for the file's ${…}. It runs until SIGTERM.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const (
	stopWithin = 10 * time.Second
	idleMost   = 256
)

func main() {
	// The output posts by net/http's default transport, which keeps two idle connections to a host,
	// and no setting of the library changes that. With many in flight its users lose a third to a
	// half of the speed by it, with one for each partition nothing; as the distribution that is
	// missing may do better, it is not held against the engine here.
	transport := http.DefaultTransport.(*http.Transport)
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = idleMost, idleMost
	if len(os.Args) < 2 {
		log.Fatal("usage: benthos-core FILE [NAME=VALUE …]")
	}
	stream, err := build(os.Args[1], assignments(os.Args[2:]))
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
		if err := stream.StopWithin(stopWithin); err != nil {
			log.Fatal(err) // Run would go on waiting
		}
	}()
	if err := stream.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func build(path string, values map[string]string) (*service.Stream, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	builder := service.NewStreamBuilder()
	builder.SetEnvVarLookupFunc(func(name string) (string, bool) {
		value, known := values[name]
		return value, known
	})
	if err := builder.SetYAML(string(text)); err != nil {
		return nil, err
	}
	return builder.Build()
}

func assignments(arguments []string) map[string]string {
	values := map[string]string{}
	for _, argument := range arguments {
		name, value, _ := strings.Cut(argument, "=")
		values[name] = value
	}
	return values
}
