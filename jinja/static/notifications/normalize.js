// Converts a notification from the REST API or a client event to a row of the NotificationStore. Pure.

const LOCAL_PATH = /^\/(posts|users|comments)\/[^/\\\s][^\\\s]*$/;

// `source` is "loaded" for the REST API, else the name of the client event. `known` is the row that the store has:
// a client event does not contain all fields.
export function normalizeRow(notification, source, known) {
  const text = notification.group ?? notification; // an instant announcement names one actor; the list shows the group
  const metadata = notification.metadata ?? {};
  return {
    id: notification.id,
    version: notification.version,
    seq: notification.seq ?? known?.seq ?? 0,
    type: notification.type,
    priority: notification.priority,
    text: text.summary || text.message || text.title || notification.message || notification.title,
    detail: text.detail ?? "",
    isRead: Boolean(notification.isRead),
    seenAt: seenAt(notification, source, known),
    updatedAt: notification.timestamp ?? notification.updatedAt ?? notification.createdAt,
    actors: notification.actors ?? known?.actors ?? [],
    count: notification.aggregatedCount ?? metadata.aggregatedCount ?? 1,
    href: rowHref(notification),
    snoozedUntil: notification.snoozedUntil ?? null,
    isRemoved: false,
  };
}

function seenAt(notification, source, known) {
  if (notification.seenAt !== undefined) return notification.seenAt;
  return source === "notification" ? null : (known?.seenAt ?? null);
}

// Only paths of this site: event payloads are not trusted to choose where a link leads.
export function rowHref(notification) {
  const url = notification.metadata?.postUrl;
  const commentId = notification.metadata?.commentId;
  const anchor = commentId ? `#comment-${encodeURIComponent(commentId)}` : "";
  if (typeof url === "string" && LOCAL_PATH.test(url)) return url.includes("#") ? url : url + anchor;
  if (notification.targetType === "POST" && notification.targetId) return `/posts/${encodeURIComponent(notification.targetId)}`;
  const actor = notification.actors?.find(({ id }) => id === notification.actorId) ?? notification.actors?.[0];
  if (notification.type === "FOLLOW" && actor?.username) return `/users/${encodeURIComponent(actor.username)}`;
  return notification.type === "SECURITY_ALERT" ? "/password/forgotten" : "/notifications";
}

// Comparator: the newest change first, as the server sorts.
export function compareNewestFirst(a, b) {
  if (a.updatedAt !== b.updatedAt) return a.updatedAt < b.updatedAt ? 1 : -1;
  return a.id < b.id ? 1 : -1;
}

export function matchesView(row, view) {
  if ((view.tab === "snoozed") !== Boolean(row.snoozedUntil)) return false;
  if (view.tab === "unread" && row.isRead) return false;
  if (view.tab === "mentions") return row.type === "MENTION";
  return !view.type || row.type === view.type;
}
