// The page's requests to the server (docs/server.md). After the end of a session they lead to the login form.

export class Refusal extends Error {
  constructor(status, said) {
    super(said.error ?? `the server answers with ${status}`);
    this.status = status;
    this.problems = Array.isArray(said.problems) ? said.problems : [];
  }
}

const MOST_MS = 15000;

export async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(MOST_MS),
    });
  } catch {
    throw new Refusal(0, { error: "the server cannot be reached" });
  }
  if (answer.status === 401) location.assign("/login");
  let said;
  try {
    said = await answer.json();
  } catch {
    said = {};
  }
  if (!answer.ok) throw new Refusal(answer.status, said);
  return said;
}

export const pathOf = (user, what = "") => `/api/users/${encodeURIComponent(user)}${what && `/${what}`}`;
