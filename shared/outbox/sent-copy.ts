import { randomUUID } from 'node:crypto';
import type { Receipt } from '../adapters/transport.ts';
import { splitAccountId } from '../platform/ids.ts';
import { log } from '../platform/log.ts';
import { type Row, RowConflict } from '../platform/rows.ts';
import type { OutboxContext } from './context.ts';
import { frozenMail } from './frozen-mail.ts';
import { type MessageRecord, recordKey, recordOf, type SentCopy } from './record.ts';
import { afterCopy, type CopyState, copyKey, copyStateOf, endedCopy } from './sent-copy-state.ts';

/** Nobody else appends a copy meanwhile. */
const holdMs = 10 * 60_000;
/** Longest time one attempt may take: it must be over when the hold is. */
const attemptMs = 9 * 60_000;
/** How early a copy may be made: clocks of queue and app differ a little. */
const earlyMs = 2_000;

/** Somebody else holds the copy. */
class CopyLost extends Error {
  override readonly name = 'CopyLost';
}

/**
 * Puts the copy of a sent message into its account's \Sent folder, once. It never touches how the message itself went.
 * Calling it again, at any time and from anywhere, is harmless.
 */
export async function saveSentCopy(
  context: OutboxContext,
  id: string,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const parts = splitAccountId(id);
  const row = parts && (await context.rows.get(parts.account, copyKey(parts.rest), options));
  const now = context.clock.now();
  if (!parts || !row) {
    return;
  }
  const before = copyStateOf(row);
  if ((before.heldUntil ?? 0) > now || before.dueAt > now + earlyMs) {
    return;
  }
  try {
    const hold = await Hold.take(context, parts.account, row);
    const after = before.ended
      ? { state: before }
      : await attempt(context, hold, AbortSignal.any([options.signal, AbortSignal.timeout(attemptMs)]));
    await settle(context, id, hold, after);
  } catch (error) {
    if (!(error instanceof CopyLost)) {
      throw error;
    }
  }
}

interface Attempted {
  readonly state: CopyState;
  readonly trouble?: Receipt['trouble'];
}

async function attempt(context: OutboxContext, hold: Hold, signal: AbortSignal): Promise<Attempted> {
  const { rest } = hold;
  const now = () => context.clock.now();
  const row = await context.rows.get(hold.account, recordKey(rest), { signal });
  const account = await context.account(hold.account, signal);
  const transport = account && (await context.sentCopies(account));
  if (!row || !transport) {
    const trouble = { scope: 'account' as const, code: account ? 'noStore' : 'accountDeleted' };
    return { state: endedCopy(hold.state, 'failed', now()), trouble };
  }
  if (!account.enabled) {
    const trouble = { scope: 'account' as const, code: 'accountDisabled' };
    return { state: afterCopy(hold.state, { recipients: [], trouble }, now()), trouble };
  }
  const record = recordOf(hold.account, row);
  // Nobody of its recipients: the copy is for the one who sent it.
  const mail = frozenMail(context, record, [record.headerFrom]);
  const { committedAt, note } = hold.state;
  const asked = {
    signal,
    remember: (text: string) => hold.write({ note: text }),
    ...(note === undefined ? {} : { remembered: note }),
  };
  const receipt =
    committedAt === undefined
      ? await transport.send(mail, { ...asked, beforeCommit: () => hold.write({ committedAt: now() }) })
      : await transport.settle?.(mail, { ...asked, sinceCommitMs: now() - committedAt });
  const trouble = receipt?.trouble;
  return { state: afterCopy(hold.state, receipt, now()), ...(trouble ? { trouble } : {}) };
}

/** Writes down what an attempt came to: how the copy ended, into the message's record; or when it is tried again. */
async function settle(context: OutboxContext, id: string, hold: Hold, { state, trouble }: Attempted): Promise<void> {
  const fields = { account: hold.account, message: id, attempts: state.attempts, code: trouble?.code };
  const { ended } = state;
  if (ended === undefined) {
    await hold.release(state);
    log.info('outbox.copyWaits', { ...fields, scope: trouble?.scope });
    await context.enqueueCopy(id, state.dueAt - context.clock.now());
  } else if (await hold.end(ended)) {
    if (ended === 'saved') {
      log.info('outbox.copySaved', fields);
    } else {
      log.warn('outbox.copyGivenUp', { ...fields, outcome: ended });
    }
  } else {
    await hold.release(endedCopy(state, ended, context.clock.now()));
  }
}

/** The right to append one copy, held by one process. Every write is conditional on the row as it was last written. */
class Hold {
  readonly account: string;
  readonly rest: string;
  readonly #context: OutboxContext;
  readonly #key: string;
  #state: CopyState;
  #etag: string;

  private constructor(context: OutboxContext, account: string, key: string, state: CopyState, etag: string) {
    this.#context = context;
    this.account = account;
    this.#key = key;
    this.rest = key.slice(copyKey('').length);
    this.#state = state;
    this.#etag = etag;
  }

  /** Throws CopyLost where somebody else was faster. */
  static async take(context: OutboxContext, account: string, row: Row): Promise<Hold> {
    const heldUntil = context.clock.now() + holdMs;
    const hold = new Hold(context, account, row.key, copyStateOf(row), row.etag);
    await hold.write({ owner: randomUUID(), heldUntil, checkAt: heldUntil });
    return hold;
  }

  get state(): CopyState {
    return this.#state;
  }

  async write(columns: Partial<CopyState>): Promise<void> {
    await this.#put({ ...this.#state, ...columns });
  }

  /** Lets go of it in another state; nobody holds it then. */
  async release(state: CopyState): Promise<void> {
    await this.#put(state);
  }

  /** Tells the message's record and removes the copy's row. False: the record is being worked on, try again later. */
  async end(ended: Exclude<SentCopy, 'pending'>): Promise<boolean> {
    const { rows } = this.#context;
    const row = await rows.get(this.account, recordKey(this.rest));
    const columns: Pick<MessageRecord, 'sentCopy'> = { sentCopy: ended };
    // A write of ours would take the claim away from who delivers the message.
    if (row && recordOf(this.account, row).status === 'sending') {
      return false;
    }
    try {
      await rows.write(this.account, [
        ...(row ? [{ kind: 'merge' as const, key: row.key, columns, etag: row.etag }] : []),
        { kind: 'delete', key: this.#key },
      ]);
      return true;
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      // Storage may have carried it out and the SDK repeated it.
      return (await rows.get(this.account, this.#key)) === undefined;
    }
  }

  async #put(state: CopyState): Promise<void> {
    const { rows } = this.#context;
    const columns = { ...state };
    try {
      const [etag] = await rows.write(this.account, [{ kind: 'replace', key: this.#key, columns, etag: this.#etag }]);
      this.#etag = etag ?? '';
    } catch (error) {
      if (!(error instanceof RowConflict)) {
        throw error;
      }
      // As above: then the row says what we wrote.
      const row = await rows.get(this.account, this.#key);
      if (!row || !Object.entries(columns).every(([name, value]) => row.columns[name] === value)) {
        throw new CopyLost('Another process took the copy over');
      }
      this.#etag = row.etag;
    }
    this.#state = state;
  }
}
