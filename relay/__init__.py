"""App events from Kafka to the mediarithmics tracking API: each user in order, nothing lost.

The map, in reading order. What every road from Kafka has in common:

    model.py              the values: Record, Activity, Parcel, Answer, Verdict, Fate
    road/consuming/       records in from Kafka, offsets back; what to pause
    road/settling/        frontier, offset map, ledger, dead letters
    road/custody.py       partitions, commits, dead letters, fullness: their one owner; no I/O
    road/loop.py          the loop around custody and engine: the only place with tasks
    road/letter_writer.py dead letters, written until the broker has confirmed them
    road/status.py        their state → health, metrics, /status, the line of each interval
    road/metrics.py       their counters, as metrics of a road
    road/schema_status.py partitions that wait for a schema
    road/source_status.py what is wrong between a road and its Kafka
    road/rates.py         rates of its counters in the last seconds
    road/facts.py         what every road says in the log; its parts have files of their own
    road/steps.py         steps of closing: each is taken, and the first error counts
    road/keep.py          a road that fails is started again; the other one goes on

The road of one event:

    stream/decoding/      bytes → AppEvent, or why not; the input format
    stream/mapping/       AppEvent → what is sent: identity, consent, rules, $unique_key
    stream/interpret.py   the two before, and the lane: Record → Parcel, or why not
    stream/routing.py     which of several destinations an event goes to
    stream/sending/       lanes, gate, limit, retries, verdicts; the wire
    stream/policy.py      the limits of one destination, put together
    stream/engine.py      decides about a record and hands its events to their senders; no I/O
    stream/sender.py      requests to one destination and what their answers mean; no I/O
    stream/duplicates.py  what came twice, by its key
    stream/parking.py     users whose events follow a dead letter
    stream/letters.py     why an event is not sent → its dead letter
    stream/shares.py      how much of the memory each of several destinations may hold
    stream/pipeline.py    carries a sender's flights: a worker for each request under way
    stream/status.py      what the stream adds to the status of a road
    stream/destination_status.py  the same of one destination
    stream/facts.py       what the stream says in the log
    stream/tap.py         a live sample of events, for whoever looks
    stream/tracing.py     spans of events whose producer traces them

What stands on a topic, in others' formats:

    sources/              bytes → documents → app events: formats, registry, mapping, presets

The road of one segment:

    segments/             export → compare → import → verify, with a ledger to resume from
    membership/           segment events on a topic → imports, beside the stream in `relay run`
    apis/                 clients of the vendors' APIs, a file each

Beside the roads:

    errors.py             what can stop a command, and the exit status of each cause
    clock.py, disk.py     the wall clock; files that survive a crash
    backoff.py            waits that double with each failure
    section.py            a group of limits: written once, in the room that uses it
    base_url.py           addresses that paths can be put behind
    secret_file.py        a file that holds one secret → the secret
    yaml_text.py          YAML text → plain values, each with its line
    yaml_errors.py        what the YAML parser says → what to change
    wording.py            numbers in sentences
    kafka_client/         addresses, logins, certificates, and what Kafka's errors mean
    telemetry/            facts → a log line and a counter, together; the admin port
    settings/             a YAML file and the environment → frozen policies
    dead_letters/         dead letters: selected, looked at, sent again
    checks/               what `relay check` looks at
    schemas.py            the published JSON Schemas, made from the models
    sandbox/              stand-ins of the vendors' APIs and of Kafka; shares nothing with the roads
    demo/                 the road between an embedded Kafka and the sandbox, watched
    vendors.py            settings → ready clients of the vendors' APIs
    app/                  the composition root: builds the stream from the settings and runs it
    workers.py            several processes of one group, watched
    process_facts.py      what the process says in the log
    process_start.py      descriptors and signals, before anything else
    process_exit.py       the end of the process, as the status that was decided
    cli/                  a file for each command

docs/ARCHITECTURE.md has the picture.
"""

__version__ = "0.1.0"
