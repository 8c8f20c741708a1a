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
import { runsOf } from './find-run.ts';
import { type InboxRead, lastKnowing, readInbox, recentRuns } from './inbox-facts.ts';
import { listRuns, type Run, runView, runViewSchema } from './ledger/runs.ts';
import { disposalsFailingSchema } from './originals/refused.ts';
import { readTurn, type TurnState } from './session/turn-row.ts';

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
 * transaction, or two right after an upgrade.
 */
export async function currentBacklog(
  inbox: InboxContext,
  account: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<number | undefined> {
  const { last } = await readTurn(inbox, account, { signal });
  if (last?.backlog !== undefined) return last.backlog;
  // The version before kept it in the rows of runs alone.
  return lastKnowing(await listRuns(inbox, account, { signal, top: recentRuns }))?.backlog;
}

/** Newest first; a run that has a row is told as that says. */
function withRunsOfTurn(listed: readonly Run[], turn: TurnState): readonly Run[] {
  const known = new Set(listed.map(({ id }) => id));
  const others = runsOf(turn).filter(({ id }) => !known.has(id));
  // Ids of later runs sort first.
  return [...listed, ...others].sort((a, b) => (a.id < b.id ? -1 : 1));
}

interface StatusOptions {
  readonly signal: AbortSignal;
  /** What of the account fails, where that was read already. */
  readonly failing?: readonly FailingSince[];
  /** What its rows say, where that is known; else they are read. */
  readonly read?: InboxRead;
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
  const [{ facts, turn }, failing, states] = await Promise.all([
    options.read ?? readInbox(inbox, name, { signal }),
    options.failing ?? inbox.health.current(name, { signal }),
    secretStates(secrets, stored, inbox.clock.now(), signal),
  ]);
  const runs = withRunsOfTurn(facts.runs, turn);
  const last = runs.find((run) => run.begun || run.finishedAt !== undefined);
  const known = lastKnowing(runs);
  const waiting = [known?.oldestWaitingAt, facts.oldestPendingAt].filter((at) => at !== undefined);
  return {
    account: name,
    enabled: stored.account.enabled,
    lastRun: last ? runView(last) : null,
    backlog: known?.backlog ?? 0,
    oldestNotImported: waiting.length === 0 ? null : toIso(Math.min(...waiting)),
    pending: facts.pending,
    quarantined: facts.quarantined,
    deletionsToCome: facts.deletionsToCome,
    disposalsFailing: facts.refused,
    disposalsDropped: facts.dropped,
    failing: [...failing],
    lastErrors: runs.flatMap((run) =>
      run.error ? [{ runId: run.id, at: toIso(run.finishedAt ?? run.startedAt), error: run.error }] : [],
    ),
    secrets: states,
  };
}
