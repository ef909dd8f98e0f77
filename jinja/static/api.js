// Client of the REST API: callApi() sends a request with the access token and returns the parsed JSON.
// The token is kept in memory only; the session cookie is used to fetch a new one when it has expired.
import { currentUserId, redirectToLogin } from "./session.js";

export { currentUserId, redirectToLogin };
// 401: the session ended. 403: the cookie belongs to another session, with another CSRF token.
const SESSION_ENDED_STATUSES = [401, 403];
let token = null;

export async function fetchToken() {
  const response = await fetch("/session/token", {
    method: "POST",
    headers: { "X-CSRF-Token": document.querySelector('meta[name="csrf"]').content, Accept: "application/json" },
  });
  if (SESSION_ENDED_STATUSES.includes(response.status)) {
    redirectToLogin();
    return new Promise(() => {}); // never settles: the page is being left, so no error is shown
  }
  if (!response.ok) throw new Error("The server does not answer; please try again");
  token = (await response.json()).token;
  return token;
}

// `idempotencyKey`: a repeated request with the same key has no second effect.
// `fetchOptions`: further options of fetch(), such as keepalive for a page that is about to be left.
// Throws an Error with the server's message when the response is not a success.
export async function callApi(...request) {
  return (await callApiForResponse(...request)).payload;
}

// As callApi, for callers that also need a header of the response: returns {payload, headers}.
export async function callApiForResponse(method, path, body, idempotencyKey, fetchOptions = {}) {
  for (const mayRetry of [true, false]) {
    const response = await fetch(path, {
      ...fetchOptions,
      method,
      headers: {
        Authorization: `Bearer ${token ?? (await fetchToken())}`,
        "Content-Type": "application/json",
        ...(idempotencyKey && { "Idempotency-Key": idempotencyKey }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.status === 401 && mayRetry) {
      token = null;
      continue;
    }
    const payload = await response.json();
    if (!response.ok) throw new Error(payload.error ?? `error ${response.status}`);
    return { payload, headers: response.headers };
  }
}
