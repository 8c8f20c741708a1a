import { z } from 'zod';
import type { StoredAccount } from '../accounts/account-store.ts';
import { secretsOf } from '../accounts/destinations.ts';
import { expiryState } from '../accounts/expiring-secrets.ts';
import { type FailingSince, failingSinceSchema } from '../accounts/health.ts';
import { toIso } from '../platform/clock.ts';
import { instantSchema } from '../platform/validation.ts';
import type { View } from '../platform/view.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { InboxContext } from './context.ts';
import { prefixes } from './keys.ts';
import { listRuns, type Run, runView, runViewSchema } from './ledger/runs.ts';
import { countLeft, countLimit, countRows } from './left-rows.ts';
import { disposalsFailing, disposalsFailingSchema } from './originals/refused.ts';

/** Runs looked at for errors. */
const recentRuns = 20;

const secretStateSchema = z
  .object({
    name: z.string(),
    state: z.enum(['ok', 'ending', 'ended', 'missing', 'unknown']),
    expiresAt: instantSchema.nullable().meta({ description: 'Null: it has no end.' }),
  })
  .meta({
    description: 'A secret that the account names; `ending`: within 30 days; `unknown`: Key Vault could not be asked.',
  });
export type SecretState = View<typeof secretStateSchema>;

/** What an operator asks first about an account, but for its webhook. */
export const accountStatusSchema = z.object({
  account: z.string(),
  enabled: z.boolean(),
  lastRun: runViewSchema.nullable(),
  backlog: z.int().meta({ description: 'Mail that the last run which came to its end saw and left.' }),
  oldestNotImported: instantSchema
    .nullable()
    .meta({ description: 'Received time of the oldest mail not imported yet.' }),
  pending: z.int(),
  quarantined: z.int(),
  deletionsToCome: z.int(),
  disposalsFailing: disposalsFailingSchema.meta({
    description: 'Originals that the server refused to mark, move or delete, and that are tried again.',
  }),
  disposalsDropped: z.int().meta({
    description:
      'Originals that were left alone although they were to be moved or deleted: moved by others, or another mail now.',
  }),
  failing: z.array(failingSinceSchema),
  lastErrors: z.array(z.object({ runId: z.string(), at: instantSchema, error: z.string() })),
  secrets: z.array(secretStateSchema),
});
export type AccountStatus = View<typeof accountStatusSchema>;

async function secretStates(
  secrets: SecretStore,
  { account }: StoredAccount,
  now: number,
  signal: AbortSignal,
): Promise<SecretState[]> {
  const names = new Set(secretsOf(account).map((secret) => secret.name));
  return await Promise.all(
    [...names].map(async (name) => {
      try {
        const expiresAt = await secrets.expiry(name, { signal });
        const state: SecretState['state'] = expiresAt === undefined ? 'missing' : expiryState(expiresAt, now);
        return { name, state, expiresAt: expiresAt?.toISOString() ?? null };
      } catch {
        // An account's status must be answered while Key Vault is away.
        return { name, state: 'unknown', expiresAt: null };
      }
    }),
  );
}

/**
 * How much mail the account's last run which knew it has left in the mailbox; undefined where none knew. One storage
 * transaction.
 */
export async function currentBacklog(
  inbox: InboxContext,
  account: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<number | undefined> {
  return lastKnowing(await listRuns(inbox, account, { signal, top: recentRuns }))?.backlog;
}

/** A run under way, or one that failed, cannot say what it leaves: until then the one before counts. */
const lastKnowing = (runs: readonly Run[]) => runs.find((run) => run.backlog !== undefined);

interface StatusOptions {
  readonly signal: AbortSignal;
  /** What of the account fails, where that was read already. */
  readonly failing?: readonly FailingSince[];
}

/** What an operator asks first about an account. */
export async function accountStatus(
  inbox: InboxContext,
  secrets: SecretStore,
  stored: StoredAccount,
  options: StatusOptions,
): Promise<AccountStatus> {
  const { name } = stored.account;
  const { signal } = options;
  const [runs, left, deletionsToCome, refused, failing, states] = await Promise.all([
    listRuns(inbox, name, { signal, top: recentRuns }),
    countLeft(inbox, name, { signal }),
    countRows(inbox, name, prefixes.due, { signal }),
    disposalsFailing(inbox, name, { signal, limit: countLimit }),
    options.failing ?? inbox.health.current(name, { signal }),
    secretStates(secrets, stored, inbox.clock.now(), signal),
  ]);
  const last = runs.find((run) => run.begun || run.finishedAt !== undefined);
  const known = lastKnowing(runs);
  const waiting = [known?.oldestWaitingAt, ...left.pendingReceivedAt].filter((at) => at !== undefined);
  return {
    account: name,
    enabled: stored.account.enabled,
    lastRun: last ? runView(last) : null,
    backlog: known?.backlog ?? 0,
    oldestNotImported: waiting.length === 0 ? null : toIso(Math.min(...waiting)),
    pending: left.pending,
    quarantined: left.quarantined,
    deletionsToCome,
    disposalsFailing: refused,
    disposalsDropped: left.dropped,
    failing: [...failing],
    lastErrors: runs.flatMap((run) =>
      run.error ? [{ runId: run.id, at: toIso(run.finishedAt ?? run.startedAt), error: run.error }] : [],
    ),
    secrets: states,
  };
}
