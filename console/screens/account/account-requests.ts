import { asAccountBody, type SavedAccount, type Verification } from '../../api/account.ts';
import { api, outcome } from '../../api/client.ts';
import type { Outcome, Problem } from '../../api/problem.ts';
import type { Json } from '../../parts/draft.ts';

/** Values of secrets by name; empty ones are not written. */
export type Secrets = Readonly<Record<string, string>>;

/** When secrets end, by name, as instants in UTC; empty: not known. */
export type SecretEnds = Readonly<Record<string, string>>;

const given = (secrets: Secrets) => Object.fromEntries(Object.entries(secrets).filter(([, value]) => value !== ''));

/** Tries an account that is not stored, and stores nothing. Mistakes point into the account. */
export async function verifyDraft(
  account: string,
  { draft, secrets }: { readonly draft: Json; readonly secrets: Secrets },
  signal: AbortSignal,
): Promise<Outcome<Verification>> {
  const answer = await outcome(
    api.POST('/accounts/{account}/verify', {
      params: { path: { account } },
      body: { account: asAccountBody(draft), secrets: given(secrets) },
      signal,
    }),
  );
  return answer.ok ? answer : { ok: false, problem: inAccount(answer.problem) };
}

/** The same problem with pointers into the account instead of into a request that holds it. */
function inAccount(problem: Problem): Problem {
  const mistakes = problem.mistakes.map((mistake) => ({
    ...mistake,
    pointer: mistake.pointer.replace(/^\/account(?=\/|$)/, ''),
  }));
  return { ...problem, mistakes };
}

export interface SaveOptions {
  /** The version it was made from; undefined: there must be none of this name yet. */
  readonly etag: string | undefined;
}

export interface Saved {
  readonly account: SavedAccount;
  readonly etag: string | undefined;
}

/** Stores an account. */
export async function putAccount(name: string, body: Json, { etag }: SaveOptions): Promise<Outcome<Saved>> {
  const header = etag === undefined ? { 'If-None-Match': '*' } : { 'If-Match': etag };
  const answer = await outcome(
    api.PUT('/accounts/{account}', { params: { path: { account: name }, header }, body: asAccountBody(body) }),
  );
  if (answer.ok)
    return {
      ...answer,
      data: { account: answer.data, etag: answer.response.headers.get('etag') ?? undefined },
    };
  if (answer.problem.status !== 412 || etag !== undefined) return answer;
  const detail = 'There is an account with this name already. Choose another one.';
  return { ok: false, problem: { ...answer.problem, text: detail, mistakes: [{ pointer: '/name', detail }] } };
}

/** Writes the secrets that were entered, one after the other, with their ends. Answers what went wrong first. */
export async function putSecrets(account: string, secrets: Secrets, ends: SecretEnds): Promise<Problem | undefined> {
  for (const [name, value] of Object.entries(given(secrets))) {
    const expiresAt = ends[name] || undefined;
    const answer = await outcome(
      api.PUT('/accounts/{account}/secrets/{name}', {
        params: { path: { account, name } },
        body: { value, ...(expiresAt === undefined ? {} : { expiresAt }) },
      }),
    );
    if (!answer.ok) return { ...answer.problem, text: `The secret ${name} was not written: ${answer.problem.text}` };
  }
  return undefined;
}
