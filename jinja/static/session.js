// The session this page was rendered for. When it ends or another user signs in, every tab goes to the log-in page,
// so that no tab keeps private content; the log-in page leads back if somebody is signed in after all.
const metaTag = (name) => document.querySelector(`meta[name="${name}"]`);
export const currentUserId = metaTag("user-id")?.content;
const tabChannel = new BroadcastChannel("session");
let isLeaving = false;

export function redirectToLogin() {
  if (isLeaving) return;
  isLeaving = true;
  document.documentElement.hidden = true; // immediately, however slow the network is
  const returnPath = location.pathname + location.search;
  location.replace(`/login?next=${encodeURIComponent(returnPath)}`);
}

// Each page sends its user id to the other tabs; the log-in page sends null.
tabChannel.addEventListener("message", ({ data }) => {
  if (currentUserId && data.userId !== currentUserId) redirectToLogin();
});
if (currentUserId || metaTag("signed-out")) tabChannel.postMessage({ userId: currentUserId ?? null });

// The tab that submits the log-out form navigates by itself.
addEventListener("submit", ({ target }) => {
  if (target.getAttribute("action") === "/logout") isLeaving = true;
});

// A page restored from the back/forward cache may belong to a session that ended: reload it.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted || !currentUserId) return;
  document.documentElement.hidden = true;
  location.reload();
});
