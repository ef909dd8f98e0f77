// Likes, bookmarks, follows and post alerts as optimistic toggles; sharing; confirmation of deletions; live counts.
// In: submit events of the forms in macros.html, `post_updated` client events. Out: REST calls, updated buttons and counts.
import { callApi, callApiForResponse } from "./api.js";
import { renderCount } from "./plurals.js";
import { startSimulator } from "./simulator.js";
import { showToast } from "./toasts.js";

const requestStates = new WeakMap(); // form -> {desired: boolean or null, isSending}
export const showError = (error) => showToast({ message: error.message, critical: true });

// For each kind of toggle: its request, the state on the page, the expected state after a click, and how to render a state.
const TOGGLES = {
  like: {
    async send(form, on) {
      const { payload, headers } = await callApiForResponse(on ? "PUT" : "DELETE", `/api/posts/${postCard(form).dataset.post}/like`);
      return { ...payload, eventId: headers.get("X-Event-Id") };
    },
    current: (form) => ({ liked: isOn(form), likesCount: Number(postCard(form).querySelector("[data-likes]").textContent) }),
    predict: (state, on) => ({ liked: on, likesCount: Math.max(0, state.likesCount + on - state.liked) }),
    render(form, state) {
      setPressed(form, state.liked);
      renderCount(postCard(form).querySelector("[data-likes]"), state.likesCount);
      renderEventLink(postCard(form).querySelector("[data-event-link]"), state);
    },
  },
  bookmark: {
    send: (form, on) => callApi(on ? "PUT" : "DELETE", `/api/bookmarks/${postCard(form).dataset.post}`),
    current: (form) => ({ bookmarked: isOn(form) }),
    predict: (state, on) => ({ bookmarked: on }),
    render: (form, state) => setPressed(form, state.bookmarked),
  },
  follow: {
    send: (form, on) => callApi(on ? "PUT" : "DELETE", `/api/follows/${form.dataset.follow}`),
    current: (form) => ({ following: isOn(form) }),
    predict: (state, on) => ({ following: on }),
    render: renderFollow,
  },
  postAlerts: {
    send: (form, on) => callApi(on ? "PUT" : "DELETE", `/api/follows/${form.dataset.postAlerts}/bell`),
    current: (form) => ({ bellEnabled: isOn(form) }),
    predict: (state, on) => ({ bellEnabled: on }),
    render(form, state) {
      setPressed(form, state.bellEnabled);
      form.querySelector("[data-label]").textContent = state.bellEnabled ? "Post alerts on" : "Get post alerts";
      form.querySelector("use").setAttribute("href", `/static/icons.svg#${state.bellEnabled ? "bell" : "bell-off"}`);
    },
  },
};

const postCard = (form) => form.closest("[data-post]");
const isOn = (form) => form.querySelector("button").getAttribute("aria-pressed") === "true";

function setPressed(form, on) {
  form.querySelector("button").setAttribute("aria-pressed", String(on));
  form.elements.desired_state.value = on ? "off" : "on";
}

// After a like: the link to the page that shows where its event is. Without an event (a like that is being sent, or was
// taken back) there is none.
function renderEventLink(link, state) {
  link.hidden = !state.liked || !state.eventId;
  if (!link.hidden) link.href = `/events/${encodeURIComponent(state.eventId)}`;
}

// Renders every follow button of this user on the page, the follower counts, and the post alerts of the profile.
function renderFollow(form, state) {
  const userId = form.dataset.follow;
  for (const followForm of document.querySelectorAll(`[data-follow="${userId}"]`)) {
    setPressed(followForm, state.following);
    followForm.querySelector("button").textContent = state.following ? "Following" : "Follow";
  }
  if (state.followersCount !== undefined) {
    const counts = document.querySelectorAll(`[data-profile="${userId}"] [data-followers], [data-user="${userId}"] [data-followers]`);
    for (const count of counts) renderCount(count, state.followersCount);
  }
  const profile = document.querySelector(`[data-profile="${userId}"]`);
  if (!profile) return;
  const alertsForm = profile.querySelector("[data-post-alerts]");
  alertsForm.hidden = !state.following;
  if (!state.following) TOGGLES.postAlerts.render(alertsForm, { bellEnabled: false });
}

// Renders the expected state at once, sends the request, then renders the server's state; on failure the old one.
// One request at a time per form: of several clicks during a request only the last desired state is sent.
async function toggle(form, kind) {
  const { send, current, predict, render } = TOGGLES[kind];
  const request = requestStates.get(form) ?? { desired: null, isSending: false };
  requestStates.set(form, request);
  const previous = current(form);
  request.desired = !isOn(form);
  render(form, predict(previous, request.desired));
  if (request.isSending) return;
  request.isSending = true;
  try {
    while (request.desired !== null) {
      const on = request.desired;
      request.desired = null;
      const state = await send(form, on);
      if (request.desired === null) render(form, state);
    }
  } catch (error) {
    request.desired = null;
    render(form, previous);
    showError(error);
  } finally {
    request.isSending = false;
  }
}

async function sharePost(form) {
  const postId = postCard(form).dataset.post;
  const url = new URL(`/posts/${postId}`, location.href).href;
  const isCopied = await navigator.clipboard?.writeText(url).then(() => true, () => false);
  showToast(isCopied ? { message: "Link copied" } : { message: `The link: ${url}`, href: url });
  callApi("POST", `/api/posts/${postId}/share`).catch(showError);
}

// The first press asks for confirmation, the second one confirms; moving the focus away cancels.
function isDeletionConfirmed(button) {
  if (button.dataset.confirming) return true;
  const originalContent = [...button.childNodes];
  button.dataset.confirming = "yes";
  button.replaceChildren(button.querySelector(".icon"), "Really delete?");
  button.addEventListener("blur", () => {
    delete button.dataset.confirming;
    button.replaceChildren(...originalContent);
  }, { once: true });
  return false;
}

function onSubmit(event) {
  const form = event.target;
  const kind = Object.keys(TOGGLES).find((name) => name in form.dataset);
  if (kind) {
    event.preventDefault();
    toggle(form, kind);
  } else if ("share" in form.dataset) {
    event.preventDefault();
    sharePost(form);
  } else if ("delete" in form.dataset && !isDeletionConfirmed(form.querySelector("button"))) {
    event.preventDefault();
  }
}

// Live counts of a `post_updated` event. The like count is left alone while the user's own like is being sent.
export function renderPostCounts(event) {
  const { likesCount, commentsCount } = event.metadata ?? {};
  for (const card of document.querySelectorAll(`[data-post="${CSS.escape(event.targetEntityId ?? "")}"]`)) {
    const isSending = requestStates.get(card.querySelector("[data-like]"))?.isSending;
    if (likesCount !== undefined && !isSending) renderCount(card.querySelector("[data-likes]"), likesCount);
    if (commentsCount === undefined) continue;
    renderCount(card.querySelector("[data-comments]"), commentsCount);
    document.dispatchEvent(new CustomEvent("comments", { detail: { postId: card.dataset.post, count: commentsCount } }));
  }
}

// One listener for the whole page, so that rows loaded later work as well.
export function startSocialActions() {
  document.addEventListener("submit", onSubmit);
  for (const card of document.querySelectorAll("[data-post]")) startSimulator(card);
}
