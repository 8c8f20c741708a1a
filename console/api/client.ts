import createClient, { type Middleware } from 'openapi-fetch';
import { noteLost, noteStatus } from './connection.ts';
import type { paths } from './openapi.d.ts';
import { noteAnswer } from './permissions.ts';
import { noAnswer, type Outcome, problemOf } from './problem.ts';
import { currentKey, session, setSession } from './session.ts';

const rules: Middleware = {
  onRequest({ request }) {
    const key = currentKey();
    if (key !== undefined) request.headers.set('x-functions-key', key);
    return request;
  },
  onResponse({ request, response, schemaPath }) {
    // App Service sends who is signed out to a sign-in page, which is another origin's.
    if (response.type === 'opaqueredirect') {
      if (session.value.by === 'entra') setSession({ by: 'entra', signedIn: false });
      return undefined;
    }
    noteStatus(response.status, response.headers.get('content-type'));
    noteAnswer(`${request.method} ${schemaPath}`, response.status, request.headers.get('x-functions-key'));
    return undefined;
  },
  onError({ request }) {
    if (!request.signal.aborted) noteLost();
    return undefined;
  },
};

/** The routes of the service, with the types that its description gives them. */
export const api = createClient<paths>({
  baseUrl: '/api',
  redirect: 'manual',
  // Looked up at each call: a test may count what is fetched.
  fetch: (request) => globalThis.fetch(request),
});
api.use(rules);

/** What came of a call of `api`. Never throws. */
export async function outcome<T>(
  call: Promise<{ readonly data?: T; readonly error?: unknown; readonly response: Response }>,
): Promise<Outcome<T>> {
  try {
    const { data, error, response } = await call;
    // Where the answer has no body, T is undefined.
    if (response.ok) return { ok: true, data: data as T, response };
    return { ok: false, problem: problemOf(response.status, error) };
  } catch {
    return { ok: false, problem: noAnswer };
  }
}
