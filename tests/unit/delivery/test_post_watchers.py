"""Lists of watched posts: which posts have watchers, and which sockets have no list."""

from app.delivery.post_watchers import PostWatchers, WatchListChange


def test_socket_without_list_gets_all_posts_until_its_first_list() -> None:
    watchers = PostWatchers()
    assert watchers.add_socket("s1")
    assert watchers.has_sockets_without_list

    watchers.replace_list("s1", [])

    assert not watchers.has_sockets_without_list
    assert not watchers.add_socket("s1")  # it joins its room again
    assert not watchers.has_sockets_without_list


def test_new_list_replaces_the_earlier_one() -> None:
    watchers = PostWatchers()
    assert watchers.replace_list("s1", ["a", "b", "a"]) == WatchListChange(("a", "b"), ())

    assert watchers.replace_list("s1", ["b", "c"]) == WatchListChange(("c",), ("a",))
    assert sorted(watchers.watched_post_ids()) == ["b", "c"]


def test_post_is_watched_until_its_last_socket_leaves() -> None:
    watchers = PostWatchers()
    watchers.replace_list("s1", ["a"])
    watchers.replace_list("s2", ["a", "b"])

    assert set(watchers.remove_socket("s2")) == {"a", "b"}
    assert (watchers.is_watched("a"), watchers.is_watched("b")) == (True, False)
    assert watchers.remove_from_list("s1", ["a", "x"]) == ("a",)
    assert watchers.watched_post_ids() == []


def test_closed_socket_leaves_nothing_behind() -> None:
    watchers = PostWatchers()
    watchers.add_socket("s1")
    watchers.replace_list("s2", ["a"])
    for sid in ("s1", "s2", "never seen"):
        watchers.remove_socket(sid)

    assert watchers == PostWatchers()
    assert watchers.remove_from_list("s2", ["a"]) == ()
