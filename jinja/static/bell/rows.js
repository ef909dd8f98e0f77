// A row of the list, made of what REST or a socket says of it. Pure.

const OWN_PATH = /^\/(posts|users|comments)\/[^/\\\s][^\\\s]*$/;

// `known` is what we have of it: a frame does not say when it was seen.
export function rowOf(said, event, known) {
  const words = said.group ?? said; // an instant announcement names one actor; the list wants the group
  const meta = said.metadata ?? {};
  return {
    id: said.id,
    version: said.version,
    seq: said.seq ?? known?.seq ?? 0,
    type: said.type,
    priority: said.priority,
    text: words.message || words.title || said.message || said.title,
    isRead: Boolean(said.isRead),
    seenAt: seenAt(said, event, known),
    when: said.timestamp ?? said.updatedAt ?? said.createdAt,
    actors: said.actors ?? known?.actors ?? [],
    count: said.aggregatedCount ?? meta.aggregatedCount ?? 1,
    href: hrefOf(said),
    gone: false,
  };
}

function seenAt(said, event, known) {
  if (said.seenAt !== undefined) return said.seenAt;
  return event === "notification" ? null : (known?.seenAt ?? null);
}

// Only paths of this site: the text of a link is others' to choose, where it leads is not.
export function hrefOf(said) {
  const url = said.metadata?.postUrl;
  const comment = said.metadata?.commentId;
  const anchor = comment ? `#comment-${encodeURIComponent(comment)}` : "";
  if (typeof url === "string" && OWN_PATH.test(url)) return url.includes("#") ? url : url + anchor;
  if (said.targetType === "POST" && said.targetId) return `/posts/${encodeURIComponent(said.targetId)}`;
  const actor = said.actors?.find((one) => one.id === said.actorId) ?? said.actors?.[0];
  if (said.type === "FOLLOW" && actor?.username) return `/users/${encodeURIComponent(actor.username)}`;
  return "/notifications";
}

// Newest change first, as the server lists them.
export function later(a, b) {
  if (a.when !== b.when) return a.when < b.when ? 1 : -1;
  return a.id < b.id ? 1 : -1;
}

export function fits(row, view) {
  if (view.tab === "unread" && row.isRead) return false;
  if (view.tab === "mentions") return row.type === "MENTION";
  return !view.type || row.type === view.type;
}
