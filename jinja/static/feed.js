// STOP 1: the click. Sends the wish, paints at once, and again what it is told; takes it back on failure.
// One listener for the whole page: what is loaded later works as well.
import { call } from "./api.js";
import { startDials } from "./dials.js";
import { toast } from "./toasts.js";
import { paintCount } from "./words.js";

const states = new WeakMap(); // form -> {wanted, busy}
export const fault = (error) => toast({ message: error.message, critical: true });

// What each kind of switch sends, and how it paints itself and its likes on the page.
const WISHES = {
  like: {
    send: (form, on) => call(on ? "PUT" : "DELETE", `/api/posts/${card(form).dataset.post}/like`),
    stands: (form) => ({ liked: isOn(form), likesCount: Number(card(form).querySelector("[data-likes]").textContent) }),
    guess: (now, on) => ({ liked: on, likesCount: Math.max(0, now.likesCount + on - now.liked) }),
    paint(form, said) {
      press(form, said.liked);
      paintCount(card(form).querySelector("[data-likes]"), said.likesCount);
    },
  },
  keep: {
    send: (form, on) => call(on ? "PUT" : "DELETE", `/api/bookmarks/${card(form).dataset.post}`),
    stands: (form) => ({ bookmarked: isOn(form) }),
    guess: (now, on) => ({ bookmarked: on }),
    paint: (form, said) => press(form, said.bookmarked),
  },
  follow: {
    send: (form, on) => call(on ? "PUT" : "DELETE", `/api/follows/${form.dataset.follow}`),
    stands: (form) => ({ following: isOn(form) }),
    guess: (now, on) => ({ following: on }),
    paint: paintFollow,
  },
  bell: {
    send: (form, on) => call(on ? "PUT" : "DELETE", `/api/follows/${form.dataset.bell}/bell`),
    stands: (form) => ({ bellEnabled: isOn(form) }),
    guess: (now, on) => ({ bellEnabled: on }),
    paint(form, said) {
      press(form, said.bellEnabled);
      form.querySelector("[data-word]").textContent = said.bellEnabled ? "Every post rings" : "Ring for posts";
      form.querySelector("use").setAttribute("href", `/static/icons.svg#${said.bellEnabled ? "bell" : "bell-off"}`);
    },
  },
};

const card = (form) => form.closest("[data-post]");
const isOn = (form) => form.querySelector("button").getAttribute("aria-pressed") === "true";

function press(form, on) {
  form.querySelector("button").setAttribute("aria-pressed", String(on));
  form.elements.wish.value = on ? "off" : "on";
}

function paintFollow(form, said) {
  const id = form.dataset.follow;
  for (const same of document.querySelectorAll(`[data-follow="${id}"]`)) {
    press(same, said.following);
    same.querySelector("button").textContent = said.following ? "Following" : "Follow";
  }
  if (said.followersCount !== undefined) {
    const numbers = document.querySelectorAll(`[data-person="${id}"] [data-followers], [data-line="${id}"] [data-followers]`);
    for (const number of numbers) paintCount(number, said.followersCount);
  }
  const person = document.querySelector(`[data-person="${id}"]`);
  if (!person) return;
  const bell = person.querySelector("[data-bell]");
  bell.hidden = !said.following;
  if (!said.following) WISHES.bell.paint(bell, { bellEnabled: false });
}

// One request at a time per button; of several clicks meanwhile only the last wish counts.
export async function wishes(form, kind) {
  const { send, stands, guess, paint } = WISHES[kind];
  const state = states.get(form) ?? { wanted: null, busy: false };
  states.set(form, state);
  const before = stands(form);
  state.wanted = !isOn(form);
  paint(form, guess(before, state.wanted));
  if (state.busy) return;
  state.busy = true;
  try {
    while (state.wanted !== null) {
      const on = state.wanted;
      state.wanted = null;
      const said = await send(form, on);
      if (state.wanted === null) paint(form, said);
    }
  } catch (error) {
    state.wanted = null;
    paint(form, before);
    fault(error);
  } finally {
    state.busy = false;
  }
}

async function share(form) {
  const post = card(form).dataset.post;
  const link = new URL(`/posts/${post}`, location.href).href;
  const copied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
  toast(copied ? { message: "Link copied" } : { message: `The link: ${link}`, href: link });
  call("POST", `/api/posts/${post}/share`).catch(fault);
}

// The first press asks, the second one means it; looking away takes the question back.
function sure(button) {
  if (button.dataset.sure) return true;
  const words = [...button.childNodes];
  button.dataset.sure = "asked";
  button.replaceChildren(button.querySelector(".icon"), "Really delete?");
  button.addEventListener("blur", () => {
    delete button.dataset.sure;
    button.replaceChildren(...words);
  }, { once: true });
  return false;
}

function onSubmit(event) {
  const form = event.target;
  const kind = Object.keys(WISHES).find((one) => one in form.dataset);
  if (kind) {
    event.preventDefault();
    wishes(form, kind);
  } else if ("share" in form.dataset) {
    event.preventDefault();
    share(form);
  } else if ("delete" in form.dataset && !sure(form.querySelector("button"))) {
    event.preventDefault();
  }
}

// Live counts from post_updated. A like of one's own that is under way is not painted over.
export function paintCounts(event) {
  const { likesCount, commentsCount } = event.metadata ?? {};
  for (const shown of document.querySelectorAll(`[data-post="${CSS.escape(event.targetEntityId ?? "")}"]`)) {
    const busy = states.get(shown.querySelector("[data-like]"))?.busy;
    if (likesCount !== undefined && !busy) paintCount(shown.querySelector("[data-likes]"), likesCount);
    if (commentsCount === undefined) continue;
    paintCount(shown.querySelector("[data-comments]"), commentsCount);
    document.dispatchEvent(new CustomEvent("comments", { detail: { post: shown.dataset.post, count: commentsCount } }));
  }
}

export function startFeed() {
  document.addEventListener("submit", onSubmit);
  for (const shown of document.querySelectorAll("[data-post]")) startDials(shown);
}
