// Talks to the API. The token lives in memory only; the session cookie gets a new one when it has run out.
import { leave, myId } from "./session.js";

export { leave, myId };
const SESSION_IS_OVER = [401, 403]; // it ended; or it is another one, whose forms carry another CSRF field
let token = null;

export async function freshToken() {
  const answer = await fetch("/session/token", {
    method: "POST",
    headers: { "X-CSRF-Token": document.querySelector('meta[name="csrf"]').content, Accept: "application/json" },
  });
  if (SESSION_IS_OVER.includes(answer.status)) {
    leave();
    return new Promise(() => {}); // nobody shows an error on a page that is being left
  }
  if (!answer.ok) throw new Error("The server does not answer; please try again");
  token = (await answer.json()).token;
  return token;
}

// `key`: a second try with the same one has no second effect (Idempotency-Key).
// `more`: what else fetch() shall know, as keepalive for a page that is about to be left.
export async function call(method, path, body, key, more = {}) {
  for (const retry of [true, false]) {
    const answer = await fetch(path, {
      ...more,
      method,
      headers: {
        Authorization: `Bearer ${token ?? (await freshToken())}`,
        "Content-Type": "application/json",
        ...(key && { "Idempotency-Key": key }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.status === 401 && retry) {
      token = null;
      continue;
    }
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error ?? `error ${answer.status}`);
    return said;
  }
}
