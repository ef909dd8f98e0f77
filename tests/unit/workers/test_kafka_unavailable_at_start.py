"""A process that waits for Kafka uses almost no CPU time. kafka-python leaves its event loop behind when a
constructor fails, and under gevent such a loop runs forever."""

import subprocess
import sys

import pytest

MEASURE_CPU_SCRIPT = """
from app.clients.gevent_setup import patch_all; patch_all()
import gc, resource, time
from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.messaging.producer import KafkaPublisher
from app.messaging.records import ProducerRecord

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

publisher = KafkaPublisher(KafkaConnection(("127.0.0.1:1",)))
for _ in range(3):
    try:
        publisher.publish([ProducerRecord("topic", "key", b"value")])
    except Unavailable:
        gc.collect()
before = cpu()
time.sleep(1.0)
print(cpu() - before)
"""


@pytest.mark.slow
def test_process_without_kafka_uses_no_cpu() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", MEASURE_CPU_SCRIPT], capture_output=True, text=True, timeout=60
    )

    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout) < 0.25
