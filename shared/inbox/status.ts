import type { StoredAccount } from '../accounts/account-store.ts';
import { endState } from '../accounts/ending-secrets.ts';
import type { FailingSince } from '../accounts/health.ts';
import { secretsOf } from '../accounts/rules.ts';
import { toIso } from '../platform/clock.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import type { InboxContext } from './context.ts';
import { readPending } from './pending.ts';
import { listRuns, type RunView, runView } from './runs.ts';

/** Rows counted at most; beyond it the number stands for "at least". */
const countLimit = 5_000;

/** Runs looked at for errors. */
const recentRuns = 20;

/** A secret that the account names; `ending`: within 30 days; `unknown`: Key Vault could not be asked. */
export interface SecretState {
  readonly name: string;
  readonly state: 'ok' | 'ending' | 'ended' | 'missing' | 'unknown';
  /** Null: it has no end. */
  readonly expiresAt: string | null;
}

export interface AccountStatus {
  readonly account: string;
  readonly enabled: boolean;
  readonly lastRun: RunView | null;
  /** Mail that the last run which came to its end saw and left. */
  readonly backlog: number;
  /** Received time of the oldest mail not imported yet. */
  readonly oldestNotImported: string | null;
  readonly pending: number;
  readonly quarantined: number;
  readonly deletionsToCome: number;
  readonly failing: readonly FailingSince[];
  readonly lastErrors: readonly { readonly runId: string; readonly at: string; readonly error: string }[];
  readonly secrets: readonly SecretState[];
}

async function countRows(context: InboxContext, account: string, prefix: string, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const _ of context.rows.prefix(account, prefix, { select: ['at'], top: countLimit, signal })) {
    count += 1;
  }
  return count;
}

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
        const state: SecretState['state'] = expiresAt === undefined ? 'missing' : endState(expiresAt, now);
        return { name, state, expiresAt: expiresAt?.toISOString() ?? null };
      } catch {
        // An account's status must be told while Key Vault is away.
        return { name, state: 'unknown', expiresAt: null };
      }
    }),
  );
}

/** What an operator asks first about an account. */
export async function accountStatus(
  context: InboxContext,
  secrets: SecretStore,
  stored: StoredAccount,
  options: { readonly signal: AbortSignal },
): Promise<AccountStatus> {
  const { name } = stored.account;
  const { signal } = options;
  const [runs, pending, quarantined, deletionsToCome, failing, states] = await Promise.all([
    listRuns(context, name, { signal, top: recentRuns }),
    readPending(context, name, { signal }),
    countRows(context, name, 'q:', signal),
    countRows(context, name, 'd:', signal),
    context.health.current(name),
    secretStates(secrets, stored, context.clock.now(), signal),
  ]);
  const last = runs.find((run) => run.begun || run.finishedAt !== undefined);
  // A run under way, or one that failed, cannot say what it leaves: until then the one before counts.
  const told = runs.find((run) => run.backlog !== undefined);
  const waiting = [told?.oldestWaitingAt, ...pending.map(({ mail }) => mail.receivedAt)].filter(
    (at): at is number => at !== undefined,
  );
  return {
    account: name,
    enabled: stored.account.enabled,
    lastRun: last ? runView(last) : null,
    backlog: told?.backlog ?? 0,
    oldestNotImported: waiting.length === 0 ? null : toIso(Math.min(...waiting)),
    pending: pending.length,
    quarantined,
    deletionsToCome,
    failing,
    lastErrors: runs.flatMap((run) =>
      run.error ? [{ runId: run.id, at: toIso(run.finishedAt ?? run.startedAt), error: run.error }] : [],
    ),
    secrets: states,
  };
}
