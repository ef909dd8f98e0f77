// STOP 1: the click. Sends the wish, paints the count it is told.
import { call } from "./api.js";
import { startDials } from "./dials.js";
import { toast } from "./toasts.js";

const fault = (error) => toast({ message: error.message, critical: true });

function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
  const wish = button.form.elements.wish;
  wish.value = on ? "off" : "on";
}

// One request at a time per button; of several clicks meanwhile only the last wish counts.
function wishes(form, send, paint) {
  const button = form.querySelector("button");
  let wanted = null;
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const before = button.getAttribute("aria-pressed") === "true";
    wanted = !before;
    press(button, wanted);
    if (busy) return;
    busy = true;
    try {
      while (wanted !== null) {
        const on = wanted;
        wanted = null;
        const said = await send(on);
        if (wanted === null) paint(button, said);
      }
    } catch (error) {
      wanted = null;
      press(button, before);
      fault(error);
    } finally {
      busy = false;
    }
  });
}

function startLike(card) {
  const form = card.querySelector("[data-like]");
  const count = card.querySelector("[data-likes]");
  wishes(
    form,
    (on) => call(on ? "PUT" : "DELETE", `/api/posts/${card.dataset.post}/like`),
    (button, said) => {
      press(button, said.liked);
      count.textContent = said.likesCount;
    },
  );
}

function startFollow(form) {
  const id = form.dataset.follow;
  wishes(
    form,
    (on) => call(on ? "PUT" : "DELETE", `/api/follows/${id}`),
    (_, said) => {
      for (const same of document.querySelectorAll(`[data-follow="${id}"] button`)) {
        press(same, said.following);
        same.textContent = said.following ? "Following" : "Follow";
      }
      const person = document.querySelector(`[data-person="${id}"] [data-followers]`);
      if (person) person.textContent = said.followersCount;
    },
  );
}

function startComment(card) {
  const form = card.querySelector("[data-comment]");
  form.addEventListener("submit", async (event) => {
    if (document.getElementById("comments")) return; // on the post's own page it shall appear
    event.preventDefault();
    const input = form.elements.content;
    try {
      await call("POST", "/api/comments", { postId: card.dataset.post, content: input.value });
      input.value = "";
      toast({ message: "Comment sent" });
    } catch (error) {
      fault(error);
    }
  });
}

// Live counts from post_updated.
export function paintCounts(event) {
  const { likesCount, commentsCount } = event.metadata ?? {};
  for (const card of document.querySelectorAll(`[data-post="${CSS.escape(event.targetEntityId ?? "")}"]`)) {
    if (likesCount !== undefined) card.querySelector("[data-likes]").textContent = likesCount;
    if (commentsCount !== undefined) card.querySelector("[data-comments]").textContent = commentsCount;
  }
}

export function startFeed() {
  for (const card of document.querySelectorAll("[data-post]")) {
    startLike(card);
    startComment(card);
    startDials(card);
  }
  for (const form of document.querySelectorAll("[data-follow]")) startFollow(form);
  for (const picture of document.querySelectorAll(".picture")) {
    picture.addEventListener("error", () => picture.remove());
  }
}
