import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { noteLost } from './connection.ts';
import type { operations, paths } from './openapi.d.ts';
import { currentKey, session, setSession, signIn, storedKey } from './session.ts';

/** A route as the middleware of the client sees it: `DELETE /accounts/{account}`. */
type RouteName = `${'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'} ${keyof paths & string}`;

/** What a screen offers, by the function that does it. A function key may open some of them and not others. */
const routes = {
  'account-delete': 'DELETE /accounts/{account}',
  'account-folders': 'GET /accounts/{account}/folders',
  'account-get': 'GET /accounts/{account}',
  'account-import': 'POST /accounts/{account}/import',
  'account-messages-send': 'POST /accounts/{account}/messages',
  'account-patch': 'PATCH /accounts/{account}',
  'account-put': 'PUT /accounts/{account}',
  'account-retry': 'POST /accounts/{account}/retry',
  'account-runs-list': 'GET /accounts/{account}/runs',
  'account-run-get': 'GET /accounts/{account}/runs/{runId}',
  'account-secret-put': 'PUT /accounts/{account}/secrets/{name}',
  'account-stats': 'GET /accounts/{account}/stats',
  'account-status': 'GET /accounts/{account}/status',
  'account-verify': 'POST /accounts/{account}/verify',
  'account-webhook-get': 'GET /accounts/{account}/webhook',
  'account-webhook-replay': 'POST /accounts/{account}/webhook/replay',
  'account-webhook-test': 'POST /accounts/{account}/webhook/test',
  'accounts-list': 'GET /accounts',
  'asset-attachment': 'GET /assets/{id}/attachments/{n}',
  'asset-delete': 'DELETE /assets/{id}',
  'asset-get': 'GET /assets/{id}',
  'asset-html': 'GET /assets/{id}/html',
  'asset-mime': 'GET /assets/{id}/mime',
  'assets-list': 'GET /assets',
  'message-cancel': 'DELETE /messages/{id}',
  'message-get': 'GET /messages/{id}',
  'message-mime': 'GET /messages/{id}/mime',
  'message-resend': 'POST /messages/{id}/resend',
  'message-retry': 'POST /messages/{id}/retry',
  'messages-list': 'GET /messages',
  'quarantine-delete': 'DELETE /quarantine/{id}',
  'quarantine-get': 'GET /quarantine/{id}',
  'quarantine-list': 'GET /quarantine',
  'quarantine-mime': 'GET /quarantine/{id}/mime',
  'quarantine-replay': 'POST /quarantine/{id}/replay',
  stats: 'GET /stats',
  'upload-create': 'POST /uploads',
} as const satisfies Partial<Record<keyof operations, RouteName>>;

/** A function of the service that a button or a screen needs. */
export type Action = keyof typeof routes;

const actions: ReadonlyMap<string, Action> = new Map(
  Object.entries(routes).map(([action, route]) => [route, action as Action]),
);

/** Probes at a time. */
const maxProbes = 4;

/** What is known: `undefined`: may; a text: why not. Of the present sign-in only. */
const known = signal<ReadonlyMap<Action, string | undefined>>(new Map());
const waiting: Action[] = [];
const asked = new Set<Action>();
let probing = 0;
let knownOf = 0;

function forgetOthers(): void {
  if (knownOf === signIn.value) return;
  knownOf = signIn.value;
  asked.clear();
  waiting.length = 0;
  known.value = new Map();
}

function learn(action: Action, reason: string | undefined): void {
  asked.add(action);
  if (known.value.has(action) && known.value.get(action) === reason) return;
  known.value = new Map(known.value).set(action, reason);
}

/** Learns from an answer whether the caller may use a route. `key`: the one it was called with. */
export function noteAnswer(route: string, status: number, key: string | null): void {
  const action = actions.get(route);
  if (action === undefined || (key ?? undefined) !== currentKey()) return;
  forgetOthers();
  if (status === 401) refused(action);
  else if (status === 403) learn(action, 'Your roles do not allow it.');
  else if (status < 500 && status !== 429) learn(action, undefined);
}

function refused(action: Action): void {
  const { by } = session.value;
  // Entra knows nobody any more: nothing at all is allowed until somebody has signed in.
  if (by === 'entra') {
    setSession({ by, signedIn: false });
    return;
  }
  learn(action, `Your key does not open the function ${action}. Ask for a key of that function, or for a host key.`);
  void checkKey();
}

/** Longest time in which the key is not looked at again, in ms: a screen may be refused several things at once. */
const checkedMs = 5_000;
let checkedAt = 0;

/** A key that opens nothing at all any more was removed or renewed: somebody has to enter another one. */
async function checkKey(): Promise<void> {
  if (Date.now() - checkedAt < checkedMs) return;
  checkedAt = Date.now();
  const key = currentKey();
  const opened = [...known.value].flatMap(([action, reason]) => (reason === undefined ? [action] : []));
  const found = await firstOpened(key, opened);
  if (key !== currentKey() || found !== 'none') return;
  setSession({
    by: 'nothing',
    reason: 'The key that you used is not accepted any more. Enter another one; what you typed is kept.',
  });
}

/**
 * Calls a function in a way that it refuses before it does anything: with a parameter that no route knows, and where the
 * route names something, with a name that nothing can have. Answers the status; 0: there was no answer.
 */
async function ask(action: Action, key: string | undefined): Promise<{ status: number; challenge?: string }> {
  const [method = 'GET', path = ''] = routes[action].split(' ');
  try {
    // The host has a route for an attachment with a number alone.
    const nowhere = path.replace('{n}', '0').replaceAll(/\{\w+\}/g, '-');
    const { status, headers } = await fetch(`/api${nowhere}?may=`, {
      method,
      redirect: 'manual',
      headers: key === undefined ? {} : { 'x-functions-key': key },
    });
    const challenge = headers.get('www-authenticate');
    return { status, ...(challenge === null ? {} : { challenge }) };
  } catch {
    return { status: 0 };
  }
}

async function probeNext(): Promise<void> {
  const action = waiting.shift();
  if (action === undefined || probing >= maxProbes) return;
  probing += 1;
  const of = signIn.value;
  const key = currentKey() ?? null;
  const { status } = await ask(action, currentKey());
  probing -= 1;
  if (of === signIn.value && status > 0) noteAnswer(routes[action], status, key);
  void probeNext();
}

/** Why the caller may not do this; undefined where they may, or where it is not known yet. */
export function useRefusal(action: Action | undefined): string | undefined {
  const of = signIn.value;
  useEffect(() => {
    if (action === undefined || !['key', 'entra'].includes(session.value.by)) return;
    forgetOthers();
    if (asked.has(action)) return;
    asked.add(action);
    waiting.push(action);
    void probeNext();
  }, [action, of]);
  // Read in any case: whoever reads it is told of changes.
  const { value } = known;
  return action === undefined || knownOf !== of ? undefined : value.get(action);
}

/** What most keys open, and what the first screens show. */
const usual = ['accounts-list', 'messages-list', 'assets-list', 'quarantine-list', 'stats'] as const;

/**
 * The first function found that a key opens: these are tried first, then the usual ones, then every other one. `none`:
 * it opens nothing; `unknown`: the service did not answer.
 */
async function firstOpened(key: string | undefined, first: readonly Action[]): Promise<Action | 'none' | 'unknown'> {
  const all = [...new Set<Action>([...first, ...usual, ...actions.values()])];
  for (let at = 0; at < all.length; at += maxProbes) {
    const group = all.slice(at, at + maxProbes);
    const statuses = (await Promise.all(group.map((action) => ask(action, key)))).map(({ status }) => status);
    const opened = group[statuses.findIndex((status) => status !== 401 && status !== 0 && status < 500)];
    if (opened !== undefined) return opened;
    if (statuses.some((status) => status !== 401)) return 'unknown';
  }
  return 'none';
}

/** Signs in with a key. Answers why it does not do; undefined: it does. */
export async function signInWithKey(key: string): Promise<string | undefined> {
  const opened = await firstOpened(key, []);
  if (opened === 'unknown') return 'The service did not answer. Try again.';
  if (opened === 'none')
    return 'The service does not accept this key. A host key opens every screen; a key of one function opens what that function does.';
  setSession({ by: 'key', key });
  noteAnswer(routes[opened], 200, key);
  return undefined;
}

/** Finds out how callers sign in here, and goes on with the key that the tab had before it was reloaded. */
export async function start(): Promise<void> {
  if (storedKey !== undefined) return setSession({ by: 'key', key: storedKey });
  const { status, challenge } = await ask('accounts-list', undefined);
  // The host's own 401 has no challenge; App Service's and ours have (RFC 9110 section 11.6.1).
  if (status === 401 && challenge === undefined) return setSession({ by: 'nothing' });
  if (status === 401) return setSession({ by: 'entra', signedIn: false });
  // Nothing is known yet, and nothing changes: it is asked again when it is there.
  if (status === 0 || status >= 500) return noteLost();
  setSession({ by: 'entra', signedIn: true });
}
