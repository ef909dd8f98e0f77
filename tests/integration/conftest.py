"""Fixtures of the pipeline harness."""

from tests.support.pipeline_harness import pipeline, worker_services

__all__ = ["pipeline", "worker_services"]
