// Comments without leaving the page: sent, then the list is read again from the server, which knows the order.
import { call } from "./api.js";
import { fault } from "./feed.js";
import { paint } from "./times.js";
import { toast } from "./toasts.js";
import { paintCount } from "./words.js";

const list = () => document.getElementById("comments");

async function reload() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`The comments could not be loaded (${answer.status})`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("comments");
  paint(fresh);
  paintCount(document.querySelector("[data-comments]"), page.querySelector("[data-comments]").textContent);
  list().replaceWith(document.adoptNode(fresh));
}

async function send(form) {
  const input = form.elements.content;
  const button = form.querySelector("button");
  if (!input.value.trim() || button.disabled) return;
  const parent = form.dataset.reply;
  const post = form.closest("[data-post]")?.dataset.post ?? list().dataset.commentsOf;
  const key = form.dataset.key ?? (form.dataset.key = crypto.randomUUID());
  button.disabled = true;
  try {
    const said = parent
      ? await call("POST", `/api/comments/${parent}/reply`, { content: input.value }, key)
      : await call("POST", "/api/comments", { postId: post, content: input.value }, key);
    input.value = "";
    delete form.dataset.key;
    if (list()?.dataset.commentsOf === post) {
      await reload();
      document.getElementById(`comment-${said.comment.id}`)?.scrollIntoView({ block: "nearest" });
    } else {
      toast({ message: "Comment sent", href: `/posts/${post}#comment-${said.comment.id}` });
    }
  } catch (error) {
    fault(error); // what was written stays in the field, and its key: a second try is the same comment
  } finally {
    button.disabled = false;
  }
}

async function remove(form) {
  try {
    await call("DELETE", `/api/comments/${form.closest(".comment").id.replace("comment-", "")}`);
    await reload();
  } catch (error) {
    fault(error);
  }
}

export function startComments() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const form = event.target;
    if ("comment" in form.dataset || "reply" in form.dataset) {
      event.preventDefault();
      send(form);
    } else if (form.dataset.delete === "comment") {
      event.preventDefault();
      remove(form);
    }
  });
  // Others write meanwhile: the reader is told and decides, so that nothing jumps under their eyes.
  document.addEventListener("comments", ({ detail }) => {
    if (list()?.dataset.commentsOf !== detail.post) return;
    const more = detail.count - list().querySelectorAll(".comment").length;
    const button = list().querySelector("[data-fresh]");
    button.hidden = more <= 0;
    button.textContent = `Show ${more} new`;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-fresh]")) reload().catch(fault);
  });
}
