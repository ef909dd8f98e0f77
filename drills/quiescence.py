"""Waits until no work is pending in the stores, in Kafka or on the way to the sockets."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from app.devtools.checker.request_log import RequestLog, read_request_log
from app.devtools.checker.store_invariants import StoreInvariants
from app.devtools.checker.write_checks import check_comments, check_memberships, check_otp_requests
from app.domain.worker_loops import LOOP_BY_CONSUMER_GROUP
from app.kafka_settings import KafkaConnection
from app.operations.consumer_lag import read_consumer_group_offsets
from drills.cluster import Cluster
from drills.final_state import (
    FinalState,
    read_comment_texts,
    read_last_client_seqs,
    read_memberships,
    read_otp_ids,
)
from drills.fixtures import DrillFixtures


def wait_until_quiescent(
    cluster: Cluster,
    fixtures: DrillFixtures,
    request_log_path: Path,
    timeout_seconds: float,
    max_lost_writes: int,
    unawaited_loops: Collection[str] = (),
) -> str:
    """Returns a description of what is still pending after the timeout; empty if nothing is.
    `unawaited_loops`: names of worker loops whose backlog is not waited for."""
    deadline = time.monotonic() + timeout_seconds
    while pending := _describe_pending(cluster, fixtures, request_log_path, max_lost_writes, unawaited_loops):
        if time.monotonic() > deadline:
            break
        time.sleep(0.25)
    return pending


def _describe_pending(
    cluster: Cluster,
    fixtures: DrillFixtures,
    request_log_path: Path,
    max_lost_writes: int,
    unawaited_loops: Collection[str],
) -> str:
    """The cheapest checks come first."""
    if pending := [
        *StoreInvariants(cluster.engine, cluster.redis).find_pending_work(),
        *_check_unsent_messages(cluster),
    ]:
        return "; ".join(pending)
    log = read_request_log(request_log_path)
    state = FinalState(
        memberships_by_table=read_memberships(cluster, fixtures),
        comment_texts=read_comment_texts(cluster, fixtures),
        otp_ids_by_user=read_otp_ids(cluster, fixtures),
    )
    lost = [
        description
        for check_function in (check_memberships, check_comments, check_otp_requests)
        for description in check_function(log, state)[0]
    ]
    if len(lost) > max_lost_writes:
        return f"{len(lost)} acknowledged writes are not stored, e.g. {lost[0]}"
    if lag_by_partition := {
        f"{offset.group}/{offset.partition}": offset.lag
        for offset in _read_consumer_lags(cluster)
        if offset.lag and LOOP_BY_CONSUMER_GROUP[offset.group].name not in unawaited_loops
    }:
        return f"lag {lag_by_partition}"
    return _check_sockets_caught_up(cluster, fixtures, log)


def _check_unsent_messages(cluster: Cluster) -> list[str]:
    ((count,),) = cluster.query("select count(*) from outgoing_messages where status = 'waiting'")
    return [f"{count} e-mails and text messages are not sent"] if count else []


def _check_sockets_caught_up(cluster: Cluster, fixtures: DrillFixtures, log: RequestLog) -> str:
    received_seq_by_user: dict[str, int] = {}
    for client_event in log.client_events:
        received_seq_by_user[client_event.user_id] = max(
            received_seq_by_user.get(client_event.user_id, 0), client_event.client_seq or 0
        )
    last_seq_by_user = read_last_client_seqs(cluster, fixtures.socket_user_ids)
    lagging_user_ids = [
        user_id
        for user_id, client_seq in last_seq_by_user.items()
        if received_seq_by_user.get(user_id, 0) < client_seq
    ]
    return (
        f"{len(lagging_user_ids)} sockets have not received their last client event"
        if lagging_user_ids
        else ""
    )


def _read_consumer_lags(cluster: Cluster) -> list[Any]:
    address = cluster.process_env["KAFKA_BOOTSTRAP_SERVERS"]
    return list(read_consumer_group_offsets(KafkaConnection(tuple(address.split(",")))))
