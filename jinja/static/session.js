// The session that a page was made for. When it ends, or becomes another person's, no tab keeps what was private:
// it goes to the log-in page, which leads back to it if somebody is signed in after all.
const meta = (name) => document.querySelector(`meta[name="${name}"]`);
export const myId = meta("me")?.content;
const tabs = new BroadcastChannel("session");
let leaving = false;

export function leave() {
  if (leaving) return;
  leaving = true;
  document.documentElement.hidden = true; // at once, whatever the network does
  const back = location.pathname + location.search;
  location.replace(`/login?next=${encodeURIComponent(back)}`);
}

// Each page tells the other tabs whose session it was given; the log-in page tells them that there is none.
tabs.addEventListener("message", ({ data }) => {
  if (myId && data.user !== myId) leave();
});
if (myId || meta("signed-out")) tabs.postMessage({ user: myId ?? null });

// The tab that logs out is on its way already.
addEventListener("submit", ({ target }) => {
  if (target.getAttribute("action") === "/logout") leaving = true;
});

// The browser shows a page again as it was, without asking the server: what it shows may be over by now.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted || !myId) return;
  document.documentElement.hidden = true;
  location.reload();
});
