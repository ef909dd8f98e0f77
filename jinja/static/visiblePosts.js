// Which posts are on screen: live counts arrive for those only. A hidden tab has none.
// In: post cards of the page and of pages loaded later. Out: the callback of startVisiblePosts, after a short pause.
const SETTLE_MS = 250; // scrolling past a post does not send its id
const MARGIN = "200px"; // counts are current just before a post comes into view
const MAX_POSTS = 100; // of the server
const visibleCards = new Set();
let onChanged = () => {};
let settleTimer = null;

const cardObserver = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) visibleCards[isIntersecting ? "add" : "delete"](target);
  scheduleCallback();
}, { rootMargin: MARGIN });

function scheduleCallback() {
  clearTimeout(settleTimer);
  settleTimer = setTimeout(() => onChanged(), SETTLE_MS);
}

export const observePost = (card) => cardObserver.observe(card);

// The post of an open comment list counts as visible while its comments are read.
export function visiblePostIds() {
  if (document.visibilityState !== "visible") return [];
  const ids = new Set([...visibleCards].filter((card) => card.isConnected).map((card) => card.dataset.post));
  const commentedPost = document.querySelector("[data-comments-post]")?.dataset.commentsPost;
  if (commentedPost) ids.add(commentedPost);
  return [...ids].slice(-MAX_POSTS);
}

export function startVisiblePosts(callback) {
  onChanged = callback;
  for (const card of document.querySelectorAll("[data-post]")) observePost(card);
  document.addEventListener("visibilitychange", scheduleCallback);
}
