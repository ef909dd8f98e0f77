// Talks to the API. The token lives in memory only; the session cookie gets a new one when it has run out.
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content;
export const myId = meta("me");
let token = null;

export async function freshToken() {
  const answer = await fetch("/session/token", {
    method: "POST",
    headers: { "X-CSRF-Token": meta("csrf"), Accept: "application/json" },
  });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
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
