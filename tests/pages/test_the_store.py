"""The list's memory and the order of frames, alone: pure modules, driven in the browser.

Each story is JavaScript over `store` or `frames`; what it returns is compared.
"""

from typing import Any

import pytest
from playwright.sync_api import Page

_STORE = """async () => {
  const { Store } = await import("/static/bell/store.js");
  const store = new Store();
  const row = (id, version = 1, second = version, more = {}) => {
    const when = `2026-01-01T00:00:${String(second).padStart(2, "0")}.000Z`;
    const text = { type: "LIKE", message: `${id}${version}`, isRead: false, metadata: {} };
    return { id, version, seq: second, timestamp: when, updatedAt: when, ...text, ...more };
  };
  const types = { LIKE: { count: 3, unread: 2 }, MENTION: { count: 1, unread: 1 } };
  const load = (...rows) => store.load({ notifications: rows, nextCursor: null }, []);
  STORY
}"""
_FRAMES = """async () => {
  const { Frames } = await import("/static/bell/frames.js");
  const frames = new Frames();
  const seqs = (due) => due.map(([, data]) => data.seq);
  const one = (seq) => seqs(frames.take("notification", { id: "a", seq }));
  const take = (...all) => all.flatMap(one);
  STORY
}"""

STORIES = [
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.apply("notification", row("c", 1, 3));
        return store.order""",
        ["c", "b", "a"],
        id="with nobody looking a new group goes to the top",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.looking = true;
        store.apply("notification", row("c", 1, 3));
        const before = [...store.order]; const fresh = store.fresh.size;
        store.settle(); return [before, fresh, store.order, store.fresh.size]""",
        [["b", "a"], 1, ["c", "b", "a"], 0],
        id="while somebody looks it waits behind the pill",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.looking = true;
        store.apply("notification", row("a", 3, 9));
        return [store.order, store.row("a").text, store.fresh.size]""",
        [["b", "a"], "a3", 0],
        id="a known group changes in place",
    ),
    pytest.param(
        """load(row("a", 5)); store.apply("notification_updated", row("a", 4));
        return store.row("a").text""",
        "a5",
        id="an older version never replaces a newer one",
    ),
    pytest.param(
        """load(row("a", 2)); store.apply("notification_removed", { id: "a", version: 3 });
        store.apply("notification", row("a", 2)); return [store.order, store.rows.size]""",
        [[], 0],
        id="a late copy does not bring back what is gone",
    ),
    pytest.param(
        """load(row("a", 2)); store.apply("notification_removed", { id: "a", version: 3 });
        store.apply("notification_updated", row("a", 4)); return store.order""",
        ["a"],
        id="what was archived and is taken back comes back",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.looking = true;
        store.apply("notification_removed", { id: "a", version: 2 });
        const kept = [store.order, store.row("a").gone]; store.settle();
        return [...kept, store.order]""",
        [["b", "a"], True, ["b"]],
        id="what goes away while somebody reads it keeps its place until they leave",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.look({ tab: "unread", type: "" });
        load(row("a", 1), row("b", 2)); store.wish("a", { isRead: true });
        const wished = [...store.order]; store.withdraw("a", 1); return [wished, store.order]""",
        [["b"], ["b", "a"]],
        id="what failed is as it was, in its place",
    ),
    pytest.param(
        """load(row("a", 1)); store.totals.load(types); store.wish("a", { isRead: true });
        const wished = store.counts();
        store.apply("notification_updated", row("a", 2, 2, { isRead: true }));
        store.confirm("a", row("a", 2, 2, { isRead: true }));
        return [wished.unread, store.counts().unread, store.totals.stale]""",
        [2, 2, False],
        id="a wish and the frame that tells of it count once",
    ),
    pytest.param(
        """store.totals.load(types); store.apply("notification", row("n"));
        const sure = [store.counts().all, store.totals.stale];
        store.apply("notification_updated", row("o", 7)); return [...sure, store.totals.stale]""",
        [5, False, True],
        id="a first version counts one more, and of others the server is asked",
    ),
    pytest.param(
        """store.totals.load(types); store.look({ tab: "all", type: "LIKE" });
        return store.counts()""",
        {"all": 3, "unread": 2, "mentions": 1},
        id="the counts of a kind",
    ),
    pytest.param(
        """store.load({ notifications: [row("b", 5)], nextCursor: "next" }, []);
        store.apply("notification_updated", row("old", 2, 1)); return store.order""",
        ["b"],
        id="what belongs further down than what is loaded is not shown",
    ),
    pytest.param(
        """store.looking = true;
        store.load({ notifications: [row("b", 5)], nextCursor: "next" }, []);
        store.apply("notification_updated", row("twin", 2, 5));
        store.load({ notifications: [row("twin", 2, 5)], nextCursor: null });
        return [store.order, store.fresh.size]""",
        [["b", "twin"], 0],
        id="rows that were written together are told apart by what the server listed",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2));
        store.load({ notifications: [row("b", 2)], nextCursor: null }, ["a", "b"]);
        return store.order""",
        ["b"],
        id="what the server no longer lists is gone",
    ),
    pytest.param(
        """const group = { title: "t", message: "Ben and 2 others liked your post" };
        store.looking = true; load(row("a", 1));
        store.apply("notification", row("a", 2, 2, { group })); return store.row("a").text""",
        "Ben and 2 others liked your post",
        id="the list says how the group reads, not what its newest actor did",
    ),
]
ORDERS = [
    pytest.param("return [take(1, 2), frames.gap]", [[], True], id="nothing before we know where"),
    pytest.param(
        'frames.afresh("e", 4); return [take(5, 5, 6, 3), frames.gap]',
        [[5, 6], False],
        id="each once",
    ),
    pytest.param(
        'frames.afresh("e", 4); return [take(7, 6), frames.gap, take(5), frames.gap]',
        [[], True, [5, 6, 7], False],
        id="none before the one that it follows",
    ),
    pytest.param(
        """take(5, 6); return seqs(frames.afresh("e", 5))""",
        [6],
        id="what came while the list was loaded follows it",
    ),
    pytest.param(
        """frames.afresh("e", 4); take(7); const missed = [5, 6, 7].map((seq) =>
        ({ event: "notification", data: { seq } }));
        return seqs(frames.caughtUp({ epoch: "e", recovered: true, missed }))""",
        [5, 6, 7],
        id="what was missed is not shown again when it had come early",
    ),
    pytest.param(
        """frames.afresh("e", 4); return frames.caughtUp({ recovered: false })""",
        None,
        id="a lost history has to be loaded",
    ),
    pytest.param(
        """return frames.take("notification", { id: "otp", version: 1 }).length""",
        1,
        id="a critical one without a number is shown at once",
    ),
]


@pytest.mark.parametrize(("frame", "stories"), [(_STORE, STORIES), (_FRAMES, ORDERS)])
def test_the_store_and_the_order_of_frames(page: Page, frame: str, stories: list[Any]) -> None:
    """All on one page: each begins with a store of its own."""
    told = {str(one.id): page.evaluate(frame.replace("STORY", one.values[0])) for one in stories}

    assert told == {str(one.id): one.values[1] for one in stories}


LINES: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"postUrl": "/posts/p"}}, "/posts/p"),
    ({"metadata": {"postUrl": "/posts/p", "commentId": "c"}}, "/posts/p#comment-c"),
    ({"metadata": {"postUrl": "javascript:alert(1)"}}, "/notifications"),
    ({"metadata": {"postUrl": "//evil.example/posts/p"}}, "/notifications"),
    ({"metadata": {"postUrl": "/posts/\\\\evil"}}, "/notifications"),
    ({"targetType": "POST", "targetId": "p"}, "/posts/p"),
    ({"type": "FOLLOW", "actors": [{"id": "x", "username": "ben"}]}, "/users/ben"),
    ({"type": "OTP"}, "/notifications"),
]


def test_a_line_leads_only_to_this_site(page: Page) -> None:
    script = """async (said) => {
      const { hrefOf } = await import("/static/bell/rows.js");
      return hrefOf(said);
    }"""
    assert [page.evaluate(script, said) for said, _ in LINES] == [leads for _, leads in LINES]
