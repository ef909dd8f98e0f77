"""The times of one like, as its client saw them."""

from dataclasses import dataclass


@dataclass(slots=True)
class LikeTiming:
    """Unix times, to be compared with the timestamps that the pipeline writes."""

    post_id: str
    sent_at: float
    answered_at: float
    toast_at: float
    is_sequential: bool = True
