module relay.bench/sink

go 1.22
