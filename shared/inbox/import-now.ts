import { z } from 'zod';
import type { StoredAccount } from '../accounts/account-store.ts';
import type { Account } from '../accounts/rules.ts';
import { sleep } from '../platform/clock.ts';
import { type Mistake, Refusal } from '../platform/refusal.ts';
import { checkFields, peek } from '../platform/validation.ts';
import type { InboxContext } from './context.ts';
import { type DryRun, dryRun } from './importing/dry-run.ts';
import { announceRun, getRun, type Run } from './ledger/runs.ts';
import { askAgain } from './session/ask-again.ts';
import { leaseHolder } from './session/lease.ts';

/** What `POST /accounts/{account}/import` takes. */
export const importRequestSchema = z.strictObject({
  dryRun: z.boolean().default(false),
  folder: z.string().max(255).optional(),
});

/** How often a waiting caller's run is looked at. */
const lookMs = 250;

/** What a caller asks for. */
export interface ImportNowOptions {
  /** How long the caller waits for the run's end. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export type ImportNow = { readonly kind: 'run'; readonly run: Run } | ({ readonly kind: 'dryRun' } & DryRun);

/**
 * An import that a caller asks for. A run under way goes round once more and is the one answered. Throws Refusal
 * 409 for an account that is disabled or has no store, 400 for a folder that is not the account's.
 */
export async function importNow(
  inbox: InboxContext,
  { account }: StoredAccount,
  input: unknown,
  options: ImportNowOptions,
): Promise<ImportNow> {
  const { signal } = options;
  const request = checkFields(importRequestSchema, input ?? {}).complete(folderMistakes(account, input));
  if (!account.enabled || !account.store) {
    throw new Refusal('conflict', account.store ? 'The account is disabled.' : 'The account has no store.');
  }
  const { folder } = request;
  const only = folder === undefined ? {} : { folder };
  if (request.dryRun) {
    return { kind: 'dryRun', ...(await dryRun(inbox, account.name, { ...only, signal })) };
  }
  const run = (await runUnderWay(inbox, account.name, only, signal)) ?? (await announce(inbox, account.name, only));
  return { kind: 'run', run: await waitFor(inbox, account.name, run, options) };
}

function folderMistakes({ store }: Account, input: unknown): readonly Mistake[] {
  const folder = peek(input, ['folder']);
  return store && typeof folder === 'string' && !store.folders.includes(folder)
    ? [{ pointer: '/folder', detail: "is not one of the account's folders" }]
    : [];
}

async function announce(inbox: InboxContext, account: string, only: { folder?: string }): Promise<Run> {
  const run = await announceRun(inbox, account);
  await inbox.enqueue(account, { runId: run.id, ...only });
  return run;
}

/** The import that holds the account's lease now, if it can still be asked to go round once more. */
async function runUnderWay(
  inbox: InboxContext,
  account: string,
  { folder }: { readonly folder?: string },
  signal: AbortSignal,
): Promise<Run | undefined> {
  const holder = await leaseHolder(inbox, account, { signal });
  const covers = holder?.purpose === 'import' && (holder.folder === undefined || holder.folder === folder);
  return covers ? await askAgain(inbox, account, holder.runId, { signal }) : undefined;
}

async function waitFor(inbox: InboxContext, account: string, run: Run, options: ImportNowOptions): Promise<Run> {
  const until = performance.now() + options.waitMs;
  let current = run;
  while (current.status === 'running' && performance.now() < until) {
    await sleep(Math.min(lookMs, Math.max(1, until - performance.now())), options.signal);
    current = (await getRun(inbox, account, run.id, options)) ?? current;
  }
  return current;
}
