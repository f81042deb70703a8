import tracemalloc

from relay.stream.mapping.compact_json import to_json


def test_a_document_that_waits_takes_no_more_memory_than_its_bytes():
    document = {"$event_name": "page_seen", "$properties": {"text": "x" * 400}}
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        waiting = [to_json(document) for _ in range(100)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100 * (len(waiting[0]) + 200)


def test_integers_beyond_64_bits_keep_every_digit():
    assert to_json({"n": 2**70}) == b'{"n":%d}' % 2**70
