// Comments without leaving the page: sends or deletes one, then renders the list again from the server's HTML.
import { callApi } from "./api.js";
import { renderCount } from "./plurals.js";
import { renderTimes } from "./relativeTimes.js";
import { showError } from "./socialActions.js";
import { showToast } from "./toasts.js";

const commentSection = () => document.getElementById("comments");

async function reloadComments() {
  const response = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (!response.ok) throw new Error(`The comments could not be loaded (${response.status})`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const newSection = page.getElementById("comments");
  renderTimes(newSection);
  renderCount(document.querySelector("[data-comments]"), page.querySelector("[data-comments]").textContent);
  commentSection().replaceWith(document.adoptNode(newSection));
}

async function sendComment(form) {
  const input = form.elements.content;
  const button = form.querySelector("button");
  if (!input.value.trim() || button.disabled) return;
  const parentId = form.dataset.reply;
  const postId = form.closest("[data-post]")?.dataset.post ?? commentSection().dataset.commentsPost;
  const idempotencyKey = form.dataset.key ?? (form.dataset.key = crypto.randomUUID());
  button.disabled = true;
  try {
    const { comment } = parentId
      ? await callApi("POST", `/api/comments/${parentId}/reply`, { content: input.value }, idempotencyKey)
      : await callApi("POST", "/api/comments", { postId, content: input.value }, idempotencyKey);
    input.value = "";
    delete form.dataset.key;
    if (commentSection()?.dataset.commentsPost === postId) {
      await reloadComments();
      document.getElementById(`comment-${comment.id}`)?.scrollIntoView({ block: "nearest" });
    } else {
      showToast({ message: "Comment sent", href: `/posts/${postId}#comment-${comment.id}` });
    }
  } catch (error) {
    showError(error); // the field keeps the text and the key, so a second try creates the same comment
  } finally {
    button.disabled = false;
  }
}

async function deleteComment(form) {
  try {
    await callApi("DELETE", `/api/comments/${form.closest(".comment").id.replace("comment-", "")}`);
    await reloadComments();
  } catch (error) {
    showError(error);
  }
}

// Opening the box by its button leads to the field.
function focusOpenedBox({ target }) {
  if (!("commentBox" in (target.dataset ?? {})) || !target.open) return;
  if (target.querySelector("summary") === document.activeElement) target.querySelector("[name=content]").focus();
}

export function startComments() {
  document.addEventListener("toggle", focusOpenedBox, true); // does not bubble
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const form = event.target;
    if ("comment" in form.dataset || "reply" in form.dataset) {
      event.preventDefault();
      sendComment(form);
    } else if (form.dataset.delete === "comment") {
      event.preventDefault();
      deleteComment(form);
    }
  });
  // New comments of others are not inserted while somebody reads: a button offers to load them.
  document.addEventListener("comments", ({ detail }) => {
    if (commentSection()?.dataset.commentsPost !== detail.postId) return;
    const newCount = detail.count - commentSection().querySelectorAll(".comment").length;
    const button = commentSection().querySelector("[data-show-new]");
    button.hidden = newCount <= 0;
    button.textContent = `Show ${newCount} new`;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-show-new]")) reloadComments().catch(showError);
  });
}
