"""The plan of a group under any order, any repetition and any cut into transactions."""

from hypothesis import given
from hypothesis import strategies as st

from app.domain.ledger import Doing, Frame, Ring
from tests.domain.house import GroupUnderTest

ACTORS = ["Ann", "Ben", "Cem", "Dan"]


@st.composite
def histories(draw: st.DrawFn) -> list[Doing]:
    """What happened, in order: each doing with a seq of its own."""
    said = draw(
        st.lists(
            st.tuples(st.sampled_from(ACTORS), st.booleans(), st.sampled_from(Ring)), max_size=14
        )
    )
    return [
        Doing(actor, seq, active, False, ring, f"event {seq}")
        for seq, (actor, active, ring) in enumerate(said, 1)
    ]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Doing], list[list[Doing]]]:
    """A history, and one way it may arrive: shuffled, repeated, cut into transactions."""
    history = draw(histories())
    repeats = draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    arriving = draw(st.permutations(history + repeats))
    sizes = draw(st.lists(st.integers(1, 5), min_size=len(arriving), max_size=len(arriving)))
    batches, at = [], 0
    for size in sizes:
        batches.append(arriving[at : at + size])
        at += size
    return history, [batch for batch in batches if batch]


@given(deliveries())
def test_any_order_and_any_repetition_leave_the_same_members(
    delivery: tuple[list[Doing], list[list[Doing]]],
) -> None:
    history, batches = delivery
    last_words = {doing.actor_id: doing.active for doing in history}
    group = GroupUnderTest()

    for batch in batches:
        group.takes(*batch)

    assert group.active == {actor for actor, active in last_words.items() if active}


@given(deliveries(), st.lists(st.booleans(), min_size=20, max_size=20), st.integers(0, 20))
def test_the_figures_of_each_row_are_those_of_its_members(
    delivery: tuple[list[Doing], list[list[Doing]]], closes: list[bool], read_after: int
) -> None:
    group = GroupUnderTest()

    for place, batch in enumerate(delivery[1]):
        group.takes(*batch, closes=closes[place])
        if place == read_after and group.latest:
            group.is_read()

        for row in group.group.generations.values():
            members = [m for m in group.group.members.values() if m.generation_id == row.id]
            active = [member for member in members if member.active]
            assert row.actors == len(active)
            assert row.owed == sum(not member.announced for member in active)


@given(deliveries(), st.lists(st.booleans(), min_size=20, max_size=20), st.integers(0, 20))
def test_a_version_rises_by_one_with_each_frame_and_with_nothing_else(
    delivery: tuple[list[Doing], list[list[Doing]]], closes: list[bool], read_after: int
) -> None:
    group = GroupUnderTest()

    for place, batch in enumerate(delivery[1]):
        group.takes(*batch, closes=closes[place])
        if place == read_after and group.latest:
            group.is_read()

    for row in group.group.generations.values():
        versions = [told.version for told in group.told if told.generation_id == row.id]
        assert versions == list(range(1, row.version + 1))


@given(deliveries())
def test_nobody_rings_twice_and_after_a_close_nothing_is_owed(
    delivery: tuple[list[Doing], list[list[Doing]]],
) -> None:
    group = GroupUnderTest()
    for batch in delivery[1]:
        group.takes(*batch)

    group.closes()

    rung = [told for told in group.told if told.frame is Frame.ANNOUNCED]
    assert sum(told.new_count for told in rung) <= len({d.actor_id for d in delivery[0]})
    assert all(row.owed == 0 for row in group.group.generations.values())


@given(deliveries())
def test_the_same_deliveries_again_tell_nothing(
    delivery: tuple[list[Doing], list[list[Doing]]],
) -> None:
    group = GroupUnderTest()
    for batch in delivery[1]:
        group.takes(*batch)
    told = list(group.told)

    for batch in delivery[1]:
        group.takes(*batch)

    assert group.told == told
