// Details below a notification: the actors of the group ("who", paginated) or the explanation of the delivery ("why").
import { callApi } from "../api.js";
import { avatar, el } from "./dom.js";

const ACTORS_PAGE_SIZE = 10;

export function createDetails(kind, notificationId) {
  const box = el("div.group-details", { "data-details": kind });
  const load = kind === "who" ? () => loadActors(box, notificationId) : () => loadExplanation(box, notificationId);
  loadOrOfferRetry(box, load);
  return box;
}

function loadOrOfferRetry(box, load) {
  load().catch((error) => {
    const retryButton = el("button.small.secondary", { type: "button", on: { click: () => loadOrOfferRetry(box, load) } }, "Try again");
    box.replaceChildren(el("p.error", { role: "alert" }, error.message), retryButton);
  });
}

async function loadActors(box, notificationId) {
  const list = el("ul.group-people", { "aria-label": "Who it was" });
  const moreButton = el("button.small.secondary", { type: "button", hidden: true }, "More people");
  let cursor = null;
  const loadNextPage = async () => {
    const page = await callApi("GET", `/api/notifications/${notificationId}/actors?limit=${ACTORS_PAGE_SIZE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    list.append(...page.actors.map(actorItem));
    cursor = page.nextCursor;
    moreButton.hidden = cursor === null;
  };
  moreButton.addEventListener("click", async () => {
    const firstNewIndex = list.children.length;
    moreButton.disabled = true;
    await loadNextPage().catch((error) => box.append(el("p.error", { role: "alert" }, error.message)));
    moreButton.disabled = false;
    list.children[firstNewIndex]?.querySelector("a").focus();
  });
  await loadNextPage();
  box.replaceChildren(list, moreButton);
}

function actorItem(actor) {
  const name = actor.name || actor.username;
  return el("li", {}, avatar({ ...actor, name }), el("a", { href: `/users/${encodeURIComponent(actor.username)}` }, el("bdi", {}, name)));
}

// At most six sentences, with times in the reader's time zone.
async function loadExplanation(box, notificationId) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const { lines } = await callApi("GET", `/api/notifications/${notificationId}/why?timeZone=${encodeURIComponent(timeZone ?? "UTC")}`);
  box.replaceChildren(
    el("ul.reason-lines", { "aria-label": "Why this came" }, ...lines.map((line) => el("li", {}, line))),
    el("p", {}, el("a", { href: "/notifications/not-told" }, "What was I not told?")),
  );
}
