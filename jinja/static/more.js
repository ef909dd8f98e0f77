// Lists that go on: "Load more" appends the next page's rows; near its end the list does so by itself.
import { startDials } from "./dials.js";
import { paint } from "./times.js";

const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) load(target);
}, { rootMargin: "600px" });

async function load(link) {
  if (link.getAttribute("aria-disabled") === "true") return;
  const line = link.closest("[data-older]");
  const list = document.querySelector("[data-goes-on]");
  link.setAttribute("aria-disabled", "true");
  link.textContent = "Loading…";
  const ghost = document.createElement("div");
  ghost.className = list.matches(".people") ? "skeleton" : "skeleton post";
  const late = setTimeout(() => line.before(ghost), 200); // who answers at once needs no stand-in
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const rows = [...(next.querySelector("[data-goes-on]")?.children ?? [])].filter((row) => !row.matches("[data-older]"));
    const older = next.querySelector("[data-older]");
    const known = new Set([...list.querySelectorAll("[data-post]")].map((row) => row.dataset.post));
    for (const row of rows) {
      if (known.has(row.dataset.post)) continue;
      paint(row);
      if (row.dataset.post) startDials(row);
      if (line.parentElement === list) line.before(document.adoptNode(row));
      else list.append(document.adoptNode(row));
    }
    watcher.unobserve(link);
    if (older) {
      line.replaceWith(document.adoptNode(older));
      watch();
    } else {
      line.remove();
    }
  } catch {
    // no endless tries by itself; a press tries again
    watcher.unobserve(link);
    link.removeAttribute("aria-disabled");
    link.textContent = "That did not load. Try again";
  } finally {
    clearTimeout(late);
    ghost.remove();
  }
}

function watch() {
  const link = document.querySelector("[data-older] a");
  if (link) watcher.observe(link);
}

export function startMore() {
  if (!document.querySelector("[data-goes-on]")) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-older] a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    load(link);
  });
  watch();
}
