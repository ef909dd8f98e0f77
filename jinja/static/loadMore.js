// Paginated lists: the "Load more" link appends the rows of the next page; near the end of the list this happens by itself.
import { renderTimes } from "./relativeTimes.js";
import { startSimulator } from "./simulator.js";
import { observePost } from "./visiblePosts.js";

const PREFETCH_MARGIN = "600px";
const SKELETON_DELAY_MS = 200;
const linkObserver = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) loadNextPage(target);
}, { rootMargin: PREFETCH_MARGIN });

async function loadNextPage(link) {
  if (link.getAttribute("aria-disabled") === "true") return;
  const linkRow = link.closest("[data-older]");
  const list = document.querySelector("[data-paginated]");
  link.setAttribute("aria-disabled", "true");
  link.textContent = "Loading…";
  const skeleton = document.createElement("div");
  skeleton.className = list.matches(".people") ? "skeleton" : "skeleton post";
  const skeletonTimer = setTimeout(() => linkRow.before(skeleton), SKELETON_DELAY_MS);
  try {
    const response = await fetch(link.href, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const rows = [...(page.querySelector("[data-paginated]")?.children ?? [])].filter((row) => !row.matches("[data-older]"));
    const nextLinkRow = page.querySelector("[data-older]");
    const shownPostIds = new Set([...list.querySelectorAll("[data-post]")].map((row) => row.dataset.post));
    for (const row of rows) {
      if (shownPostIds.has(row.dataset.post)) continue;
      renderTimes(row);
      if (row.dataset.post) startSimulator(row);
      if (linkRow.parentElement === list) linkRow.before(document.adoptNode(row));
      else list.append(document.adoptNode(row));
      if (row.dataset.post) observePost(row);
    }
    linkObserver.unobserve(link);
    if (nextLinkRow) {
      linkRow.replaceWith(document.adoptNode(nextLinkRow));
      observeLink();
    } else {
      linkRow.remove();
    }
  } catch {
    // no automatic retries; a click tries again
    linkObserver.unobserve(link);
    link.removeAttribute("aria-disabled");
    link.textContent = "That did not load. Try again";
  } finally {
    clearTimeout(skeletonTimer);
    skeleton.remove();
  }
}

function observeLink() {
  const link = document.querySelector("[data-older] a");
  if (link) linkObserver.observe(link);
}

export function startLoadMore() {
  if (!document.querySelector("[data-paginated]")) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-older] a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    loadNextPage(link);
  });
  observeLink();
}
