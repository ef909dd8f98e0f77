"""NotificationStore and EventCursor, two pure JavaScript modules, run in the browser without a server.

Each case is JavaScript over `store` or `cursor`; its return value is compared.
"""

from typing import Any

import pytest
from playwright.sync_api import Page

_STORE_SCRIPT = """async () => {
  const { NotificationStore } = await import("/static/notifications/store.js");
  const store = new NotificationStore();
  const row = (id, version = 1, second = version, fields = {}) => {
    const timestamp = `2026-01-01T00:00:${String(second).padStart(2, "0")}.000Z`;
    const text = { type: "LIKE", message: `${id}${version}`, isRead: false, metadata: {} };
    return { id, version, seq: second, timestamp, updatedAt: timestamp, ...text, ...fields };
  };
  const types = { LIKE: { count: 3, unread: 2 }, MENTION: { count: 1, unread: 1 } };
  const load = (...rows) => store.loadPage({ notifications: rows, nextCursor: null }, []);
  CASE_BODY
}"""
_CURSOR_SCRIPT = """async () => {
  const { EventCursor } = await import("/static/notifications/eventCursor.js");
  const cursor = new EventCursor();
  const seqs = (events) => events.map(([, data]) => data.seq);
  const addSeq = (seq) => seqs(cursor.add("notification", { id: "a", seq }));
  const take = (...all) => all.flatMap(addSeq);
  CASE_BODY
}"""

STORE_CASES = [
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.apply("notification", row("c", 1, 3));
        return store.displayedIds""",
        ["c", "b", "a"],
        id="hidden list: a new group goes to the top",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.isViewing = true;
        store.apply("notification", row("c", 1, 3));
        const before = [...store.displayedIds]; const pendingCount = store.pendingRows.size;
        store.showAll(); return [before, pendingCount, store.displayedIds, store.pendingRows.size]""",
        [["b", "a"], 1, ["c", "b", "a"], 0],
        id="visible list: a new group waits behind the banner",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.isViewing = true;
        store.apply("notification", row("a", 3, 9));
        return [store.displayedIds, store.row("a").text, store.pendingRows.size]""",
        [["b", "a"], "a3", 0],
        id="known group changes in place",
    ),
    pytest.param(
        """load(row("a", 5)); store.apply("notification_updated", row("a", 4));
        return store.row("a").text""",
        "a5",
        id="older version never replaces a newer one",
    ),
    pytest.param(
        """load(row("a", 2)); store.apply("notification_removed", { id: "a", version: 3 });
        store.apply("notification", row("a", 2)); return [store.displayedIds, store.rows.size]""",
        [[], 0],
        id="late copy does not restore a removed row",
    ),
    pytest.param(
        """load(row("a", 2)); store.apply("notification_removed", { id: "a", version: 3 });
        store.apply("notification_updated", row("a", 4)); return store.displayedIds""",
        ["a"],
        id="unarchived row appears again",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.isViewing = true;
        store.apply("notification_removed", { id: "a", version: 2 });
        const whileVisible = [store.displayedIds, store.row("a").isRemoved]; store.showAll();
        return [...whileVisible, store.displayedIds]""",
        [["b", "a"], True, ["b"]],
        id="row removed in a visible list keeps its place until it is hidden",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.setView({ tab: "unread", type: "" });
        load(row("a", 1), row("b", 2)); store.applyOptimistic("a", { isRead: true });
        const optimistic = [...store.displayedIds]; store.rollback("a", 1);
        return [optimistic, store.displayedIds]""",
        [["b"], ["b", "a"]],
        id="failed change is rolled back in place",
    ),
    pytest.param(
        """load(row("a", 1)); store.totals.load(types); store.applyOptimistic("a", { isRead: true });
        const optimistic = store.counts();
        store.apply("notification_updated", row("a", 2, 2, { isRead: true }));
        store.confirm("a", row("a", 2, 2, { isRead: true }));
        return [optimistic.unread, store.counts().unread, store.totals.isStale]""",
        [2, 2, False],
        id="optimistic change and its client event count once",
    ),
    pytest.param(
        """store.totals.load(types); store.apply("notification", row("n"));
        const afterFirstVersion = [store.counts().all, store.totals.isStale];
        store.apply("notification_updated", row("o", 7));
        return [...afterFirstVersion, store.totals.isStale]""",
        [5, False, True],
        id="first version adds one; other versions make the totals stale",
    ),
    pytest.param(
        """store.totals.load(types); store.setView({ tab: "all", type: "LIKE" });
        return store.counts()""",
        {"all": 3, "unread": 2, "mentions": 1},
        id="counts of one type",
    ),
    pytest.param(
        """store.loadPage({ notifications: [row("b", 5)], nextCursor: "next" }, []);
        store.apply("notification_updated", row("old", 2, 1)); return store.displayedIds""",
        ["b"],
        id="row older than the loaded page is not shown",
    ),
    pytest.param(
        """store.isViewing = true;
        store.loadPage({ notifications: [row("b", 5)], nextCursor: "next" }, []);
        store.apply("notification_updated", row("c", 2, 5));
        store.loadPage({ notifications: [row("c", 2, 5)], nextCursor: null });
        return [store.displayedIds, store.pendingRows.size]""",
        [["b", "c"], 0],
        id="rows with equal times follow the order of the server",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2));
        store.loadPage({ notifications: [row("b", 2)], nextCursor: null }, ["a", "b"]);
        return store.displayedIds""",
        ["b"],
        id="row that the server no longer lists is removed",
    ),
    pytest.param(
        """const group = { title: "t", message: "Ben and 2 others liked your post" };
        store.isViewing = true; load(row("a", 1));
        store.apply("notification", row("a", 2, 2, { group })); return store.row("a").text""",
        "Ben and 2 others liked your post",
        id="list shows the text of the group, not of its newest actor",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.totals.load(types);
        store.applyOptimistic("a", { snoozedUntil: "2026-01-02T09:00:00Z" });
        const optimistic = [[...store.displayedIds], store.counts().all];
        store.confirm("a", row("a", 2, 1, { snoozedUntil: "2026-01-02T09:00:00Z" }));
        store.apply("notification_removed", { id: "a", version: 2 });
        const snoozed = [[...store.displayedIds], store.counts().all];
        store.apply("notification_updated", row("a", 3, 9));
        return [optimistic, snoozed, [store.displayedIds, store.counts().all]]""",
        [[["b"], 3], [["b"], 3], [["a", "b"], 4]],
        id="snoozed row leaves the list and the counts until it returns",
    ),
    pytest.param(
        """load(row("a", 1)); store.apply("notification_removed", { id: "a", version: 2 });
        store.setView({ tab: "snoozed", type: "" });
        load(row("a", 2, 1, { snoozedUntil: "2026-01-02T09:00:00Z" })); return store.displayedIds""",
        ["a"],
        id="row that was snoozed elsewhere is in the list of snoozed ones",
    ),
    pytest.param(
        """load(row("a", 1), row("b", 2)); store.isViewing = true;
        store.apply("notification_updated", row("a", 2, 9));
        return [store.row("a").updatedAt, store.placedAt.get("a")].map((at) => at.slice(17, 19))""",
        ["09", "01"],
        id="row that changes in a visible list keeps the day of its place",
    ),
]
CURSOR_CASES = [
    pytest.param(
        "return [take(1, 2), cursor.hasGap]",
        [[], True],
        id="nothing is delivered before the resume point is known",
    ),
    pytest.param(
        'cursor.restartAt("e", 4); return [take(5, 5, 6, 3), cursor.hasGap]',
        [[5, 6], False],
        id="each event is delivered once",
    ),
    pytest.param(
        'cursor.restartAt("e", 4); return [take(7, 6), cursor.hasGap, take(5), cursor.hasGap]',
        [[], True, [5, 6, 7], False],
        id="event after a gap waits for the missing one",
    ),
    pytest.param(
        """take(5, 6); return seqs(cursor.restartAt("e", 5))""",
        [6],
        id="events received while the list was loading follow it",
    ),
    pytest.param(
        """cursor.restartAt("e", 4); take(7); const missed = [5, 6, 7].map((seq) =>
        ({ event: "notification", data: { seq } }));
        return seqs(cursor.resume({ epoch: "e", recovered: true, missed }))""",
        [5, 6, 7],
        id="missed events that also arrived early are delivered once",
    ),
    pytest.param(
        """cursor.restartAt("e", 4); return cursor.resume({ recovered: false })""",
        None,
        id="lost history requires a reload",
    ),
    pytest.param(
        """return cursor.add("notification", { id: "otp", version: 1 }).length""",
        1,
        id="critical event without a number is delivered at once",
    ),
]


@pytest.mark.parametrize(("script", "cases"), [(_STORE_SCRIPT, STORE_CASES), (_CURSOR_SCRIPT, CURSOR_CASES)])
def test_notification_store_applies_client_events_in_order(page: Page, script: str, cases: list[Any]) -> None:
    """All cases share one page; each creates its own store or cursor."""
    results = {str(case.id): page.evaluate(script.replace("CASE_BODY", case.values[0])) for case in cases}

    assert results == {str(case.id): case.values[1] for case in cases}


ROWS_AND_LINKS: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"postUrl": "/posts/p"}}, "/posts/p"),
    ({"metadata": {"postUrl": "/posts/p", "commentId": "c"}}, "/posts/p#comment-c"),
    ({"metadata": {"postUrl": "javascript:alert(1)"}}, "/notifications"),
    ({"metadata": {"postUrl": "//evil.example/posts/p"}}, "/notifications"),
    ({"metadata": {"postUrl": "/posts/\\\\evil"}}, "/notifications"),
    ({"targetType": "POST", "targetId": "p"}, "/posts/p"),
    ({"type": "FOLLOW", "actors": [{"id": "x", "username": "ben"}]}, "/users/ben"),
    ({"type": "OTP"}, "/notifications"),
    ({"type": "SECURITY_ALERT"}, "/password/forgotten"),
]


def test_notification_links_stay_on_this_site(page: Page) -> None:
    script = """async (notification) => {
      const { rowHref } = await import("/static/notifications/normalize.js");
      return rowHref(notification);
    }"""
    assert [page.evaluate(script, row) for row, _ in ROWS_AND_LINKS] == [href for _, href in ROWS_AND_LINKS]
