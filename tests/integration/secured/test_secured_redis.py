"""Redis with TLS and a password: every kind of client that the product has."""

from collections.abc import Iterator

import pytest
import redis

from app.clients.redis import create_redis_client, translate_errors
from app.domain.errors import Unavailable
from tests.support.certificates import CertificateFiles
from tests.support.patched_program import run_patched_program
from tests.support.secured_services import SecuredRedis, secured_redis

pytestmark = pytest.mark.service
ALL_CLIENTS_PROGRAM = """
import sys, time
import gevent
from gevent.event import Event
from app.accounts.rate_limits import RateLimits
from app.settings import RateLimitRules
from app.clients.pipelined_client import PipelinedRedisClient
from app.clients.redis import create_redis_client
from app.clients.redis_health import ping_or_raise
from app.clients.redis_server_check import exit_if_too_old, raise_if_unsuitable
from app.delivery.redis_pubsub import ClientEventSubscriber
from app.messaging.socket_push import SocketPushPublisher

url = sys.argv[1]
exit_if_too_old(url)
client = create_redis_client(url)
ping_or_raise(client, 2.0)
raise_if_unsuitable(client)

pipelined = PipelinedRedisClient(url, 2.0, 20.0)
texts = [str(n) * 20_000 for n in range(200)]
calls = [gevent.spawn(pipelined.execute_command, "ECHO", text) for text in texts]
gevent.joinall(calls, timeout=30)
assert [call.value for call in calls] == texts, "pipelined client"

subscribed = Event()
subscriber = ClientEventSubscriber(url, subscribed.set, lambda *_: None)
message = gevent.spawn(lambda: next(subscriber.subscribe()))
assert subscribed.wait(5), "pub/sub"
SocketPushPublisher(url).emit("notification", {"n": 1}, "user:x")
assert b'"n":1' in message.get(timeout=5), "push"

RateLimits(RateLimitRules(True, "5 per minute", "5 per minute", "5 per minute"), url, time.monotonic
    ).count_registration("192.0.2.1")
assert [key for key in client.keys("*") if "register" in key], "rate limits"
print("all clients work")
"""


@pytest.fixture(scope="module")
def server(certificates: CertificateFiles) -> Iterator[SecuredRedis]:
    with secured_redis(certificates) as running:
        yield running


def test_all_redis_clients_work_with_tls_and_a_password(server: SecuredRedis) -> None:
    finished = run_patched_program(ALL_CLIENTS_PROGRAM, server.url())

    assert finished.stdout.strip() == "all clients work", finished.stderr


def test_certificate_of_another_authority_is_refused(
    server: SecuredRedis, other_certificates: CertificateFiles
) -> None:
    client = create_redis_client(server.url(trusted=other_certificates))

    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        client.ping()


def test_wrong_password_has_a_code_of_its_own_and_is_not_in_the_message(server: SecuredRedis) -> None:
    client = create_redis_client(server.url(password="wrong-secret-4711"))

    with pytest.raises(Unavailable) as error, translate_errors("ping"):
        client.ping()

    assert error.value.code == "redis_authentication"
    assert "wrong-secret-4711" not in f"{error.value!r} {error.value.__cause__!r}"
