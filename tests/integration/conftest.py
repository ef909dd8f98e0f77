"""Fixtures of the pipeline harness and of the Redis failover."""

from tests.support.pipeline_harness import pipeline, worker_services
from tests.support.redis_failover_harness import failover

__all__ = ["failover", "pipeline", "worker_services"]
