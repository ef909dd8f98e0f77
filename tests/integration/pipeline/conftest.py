"""Fixtures of the pipeline harness for this folder."""

from tests.support.pipeline_harness import pipeline, worker_services

__all__ = ["pipeline", "worker_services"]
