"""A notification of two likes, and the change of a liker's name."""

import pytest

from app.social.users import Users
from tests.support.pipeline_harness import PipelineHarness, PipelineUser


def rename_user(user: PipelineUser, name: str | None = None, avatar_url: str | None = None) -> None:
    Users(user.pipeline.engine).update_profile(user.id, name, None, avatar_url)


@pytest.fixture
def ann(pipeline: PipelineHarness) -> PipelineUser:
    return pipeline.create_users("Ann")[0]


@pytest.fixture
def liked_pipeline(pipeline: PipelineHarness, ann: PipelineUser) -> PipelineHarness:
    """Ann and Ben like Alice's post, and both likes were announced."""
    pipeline.alice.create_post("Hello")
    pipeline.create_users("Ben")[0].like("Hello")
    pipeline.run_until_idle()
    ann.like("Hello")
    pipeline.run_until_idle()
    return pipeline
