"""A process that waits for Kafka costs next to nothing: kafka-python leaves its event loop behind
when a constructor fails, and under gevent such a leftover turns for ever."""

import subprocess
import sys

import pytest

WAITS = """
from app.green import patch; patch()
import gc, resource, time
from app.domain.errors import Unavailable
from app.streams.kafka import KafkaPublisher, Record

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

publisher = KafkaPublisher(("127.0.0.1:1",))
for _ in range(3):
    try:
        publisher.publish([Record("topic", "key", b"value")])
    except Unavailable:
        gc.collect()
before = cpu()
time.sleep(1.0)
print(cpu() - before)
"""


@pytest.mark.slow
def test_a_process_whose_kafka_is_away_rests() -> None:
    done = subprocess.run([sys.executable, "-c", WAITS], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.25
