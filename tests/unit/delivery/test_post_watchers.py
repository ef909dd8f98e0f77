"""Lists of watched posts: which sockets watch a post, and which have no list."""

from app.delivery.post_watchers import PostWatchers


def test_socket_without_list_gets_all_posts_until_its_first_list() -> None:
    watchers = PostWatchers()
    watchers.add_socket_without_list("s1")
    assert watchers.sids_without_list == {"s1"}

    watchers.replace_list("s1", [])
    watchers.add_socket_without_list("s1")  # it joins its room again

    assert watchers.sids_without_list == set()


def test_new_list_replaces_the_earlier_one() -> None:
    watchers = PostWatchers()
    assert watchers.replace_list("s1", ["a", "b", "a"]) == ["a", "b"]

    assert watchers.replace_list("s1", ["c", "b"]) == ["c"]
    assert sorted(watchers.watched_post_ids()) == ["b", "c"]


def test_post_is_watched_until_its_last_socket_leaves() -> None:
    watchers = PostWatchers()
    watchers.replace_list("s1", ["a"])
    watchers.replace_list("s2", ["a", "b"])
    assert watchers.sids_of("a") == {"s1", "s2"}

    watchers.remove_socket("s2")
    assert (watchers.sids_of("a"), watchers.sids_of("b")) == ({"s1"}, set())
    watchers.remove_posts_from_list("s1", ["a", "x"])
    assert watchers.watched_post_ids() == []


def test_closed_socket_leaves_nothing_behind() -> None:
    watchers = PostWatchers()
    watchers.add_socket_without_list("s1")
    watchers.replace_list("s2", ["a"])
    for sid in ("s1", "s2", "never seen"):
        watchers.remove_socket(sid)
    watchers.remove_posts_from_list("s2", ["a"])

    assert watchers == PostWatchers()
