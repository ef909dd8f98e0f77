"""A change of name reaches lists, open pages and pages that were cut off."""

import json

import pytest

from tests.services.town import Town

pytestmark = pytest.mark.service


def test_a_new_name_corrects_open_pages_and_replaces_the_former_in_what_was_missed(
    town: Town,
) -> None:
    alice, ann, ben = town.people("Alice", "Former", "Ben")
    page, cut_off = alice.screen(), alice.at(town.webs[-1].address).screen()
    cut_off.drop()
    post = alice.posts()
    ben.likes(post)
    town.hears(lambda: len(page.toasts) == 1, "the first toast")
    ann.likes(post)
    town.hears(lambda: page.toasts == ["Ben liked your post", "Former liked your post"], "toasts")
    [before] = alice.inbox()

    ann.asks("PATCH", f"/api/users/{ann.id}", {"name": "Present"})

    town.hears(lambda: page.of("notification_updated"), "the correction")
    told, [row] = page.of("notification_updated")[-1], alice.inbox()
    words = "Present and 1 other liked your post"
    assert (told["message"], row["message"]) == (words, words)
    assert (told["actorName"], told["actors"][0]["name"]) == ("Present", "Present")
    assert told["version"] == row["version"] == before["version"] + 1
    assert (told["timestamp"], alice.badge) == (before["updatedAt"], 1)
    assert len(page.toasts) == 2
    answer = cut_off.join()
    assert answer is not None
    assert answer["recovered"]
    assert [one["data"]["message"] for one in answer["missed"]] == [
        "Ben liked your post",
        "Present liked your post",
        words,
    ]
    assert "Former" not in json.dumps([answer, row, alice.asks("GET", f"/api/posts/{post}/likes")])


def test_faces_keep_their_order_live_and_on_reload(town: Town) -> None:
    alice, fan, ben, cem = town.people("Alice", "Fan", "Ben", "Cem")
    page, post = alice.screen(), alice.posts()
    fan.follows(alice)
    town.hears(lambda: page.toasts == ["Fan started following you"], "the follow")
    for place, one in enumerate((fan, ben, cem), 2):
        one.likes(post)
        town.hears(lambda place=place: len(page.toasts) == place, f"{place} toasts")

    live = page.of("notification")[-1]["metadata"]["aggregatedActors"]

    [row] = [row for row in alice.inbox() if row["type"] == "LIKE"]
    actors = alice.asks("GET", f"/api/notifications/{row['id']}/actors")["actors"]
    assert live == [fan.id, cem.id, ben.id]
    assert [one["id"] for one in row["actors"]] == [one["id"] for one in actors] == live
    assert row["message"] == "Fan and 2 others liked your post"
