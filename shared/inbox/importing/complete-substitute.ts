import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { MailContent } from '../../adapters/mail-content.ts';
import type { ListedMail } from '../../adapters/store.ts';
import type { MimeSink } from '../../mime/mail.ts';
import { readMime } from '../../mime/read-mime.ts';
import { accountId } from '../../platform/ids.ts';
import { log } from '../../platform/log.ts';
import { ignoreConflict, RowConflict, type RowWrite } from '../../platform/rows.ts';
import { fingerprintKey, keptMessageId, ledgerKey, pageKeys } from '../keys.ts';
import { type LedgerRow, ledgerColumns, ledgerRow } from '../ledger/ledger.ts';
import { beginPage, checkInProgress, interruptRows } from '../ledger/pages-in-progress.ts';
import { type PendingMail, pendingRow } from '../ledger/pending.ts';
import { pageItem } from '../originals/items.ts';
import { disposals, dueAt } from '../originals/rule.ts';
import type { ImportContext } from '../session/import-context.ts';
import { type AfterCommit, nothingLeft } from './after-commit.ts';
import { type CheckedIn, checkIn } from './check-in.ts';
import { companionRows } from './commit.ts';
import { moveReplacement } from './move-replacement.ts';
import type { RoundContext } from './round-context.ts';
import { isSubstitute } from './substitute.ts';
import { isOwnTrouble } from './trouble.ts';

/** How long a mail is asked for again, of which the server has given a substitute. */
const triedMs = 7 * 24 * 3_600_000;

/** The row by which a mail that is imported as a substitute is asked for again. */
export function substituteRow(mail: ListedMail, attempts: number, now: number): RowWrite {
  const reason = 'The server gave a note of its own, or placeholders, in place of this mail';
  return pendingRow(mail, { attempts, reason, now, cause: { kind: 'substitute' } });
}

/**
 * Asks again for a mail that is an asset with defect `substitute`. Once the server gives the mail itself, that takes the
 * substitute's place: the same asset id and time of import, another event, and from now on the account's rule holds for
 * the original. Nothing is replaced before the whole mail was read once.
 */
export async function completeSubstitute(
  { context }: RoundContext,
  { key: pendingKey, mail, attempts }: PendingMail,
): Promise<AfterCommit> {
  const { inbox, account, signal } = context;
  const now = inbox.clock.now();
  const row = await inbox.rows.get(account, ledgerKey(mail.source), { signal });
  const entry = row && ledgerRow(row);
  if (entry?.state === 'imported' && entry.completedAt !== undefined) {
    // Replaced by a process that ended before the blobs were moved.
    return { ...nothingLeft, last: () => moveIntoPlace(context, mail, { pendingKey, localId: entry.asset }) };
  }
  if (!row || entry?.state !== 'imported' || now - entry.importedAt > triedMs) {
    await context.fence.write([{ kind: 'delete', key: pendingKey }]);
    return nothingLeft;
  }
  // Written first: whatever becomes of this attempt, the next one waits longer.
  await context.fence.write([substituteRow(mail, attempts + 1, now)]);
  if (!(await isGivenNow(context, mail))) {
    return nothingLeft;
  }
  const keys = pageKeys(context.runId, context.nextPage());
  await beginPage(context, keys.inProgress, [mail]);
  try {
    const checkedIn = await read(context, mail, (content) =>
      checkInAgain(context, mail, content, { inProgress: keys.inProgress, importedAt: entry.importedAt }),
    );
    if (checkedIn) {
      const completed = completedEntry(context, entry, checkedIn);
      const etags = await inbox.rows.write(account, [
        {
          kind: 'merge',
          key: entry.key,
          columns: { ...ledgerColumns(completed), keepOriginal: false },
          etag: row.etag,
        },
        ...(entry.messageId === completed.messageId
          ? []
          : [{ kind: 'delete' as const, key: fingerprintKey(entry.messageId, entry.key) }]),
        ...companionRows(completed),
        { kind: 'delete', key: keys.inProgress },
        { kind: 'put', key: keys.unfinished, columns: { keys: entry.key } },
      ]);
      log.info('inbox.substituteReplaced', { asset: `${account}.${entry.asset}` });
      return {
        items: [pageItem(keys.unfinished, etags.at(-1), [completed])],
        verify: true,
        last: () => moveIntoPlace(context, mail, { pendingKey, localId: entry.asset }),
      };
    }
  } catch (error) {
    await inbox.rows.write(account, interruptRows(context, keys.inProgress, [mail])).catch(() => undefined);
    if (isOwnTrouble(error) && !signal.aborted) {
      // Given a moment ago, and not this time: it is asked for again.
      return nothingLeft;
    }
    if (error instanceof RowConflict) {
      // The asset was deleted meanwhile: what was written of it goes with the page's row.
      return nothingLeft;
    }
    throw error;
  }
  await inbox.rows.write(account, interruptRows(context, keys.inProgress, [mail]));
  return nothingLeft;
}

/** Moves what has replaced a substitute to where an asset's blobs lie. Until that is done, the mail stays pending. */
async function moveIntoPlace(
  context: ImportContext,
  mail: ListedMail,
  { pendingKey, localId }: { readonly pendingKey: string; readonly localId: string },
): Promise<void> {
  const { inProgress } = pageKeys(context.runId, context.nextPage());
  await beginPage(context, inProgress, [mail]);
  await moveReplacement(await context.inbox.assets(), context.account, accountId(context.account, localId), {
    signal: context.signal,
    mayReplace: () => checkInProgress(context, inProgress),
  });
  await context.inbox.rows
    // Should the asset have been deleted meanwhile, a row is there that will remove what was written of it.
    .write(context.account, [{ kind: 'delete', key: pendingKey }, ...interruptRows(context, inProgress, [mail])])
    .catch(ignoreConflict);
}

async function read<T>(
  { session, signal }: ImportContext,
  mail: ListedMail,
  use: (content: Extract<MailContent, { kind: 'bytes' | 'stream' }>) => Promise<T>,
): Promise<T | undefined> {
  for await (const { content } of session.fetch([mail], { signal })) {
    if (content.kind === 'bytes' || content.kind === 'stream') {
      return await use(content);
    }
  }
  return undefined;
}

/** Reads the mail to its end: whether it is there, whole, and no substitute. */
async function isGivenNow(context: ImportContext, mail: ListedMail): Promise<boolean> {
  const { maxMessageSize } = context.stored.account.import;
  const given = await read(context, mail, async (content) => {
    const source: Buffer | Readable = content.kind === 'bytes' ? content.bytes : content.stream;
    let size = 0;
    if (content.kind === 'stream') {
      content.stream.on('data', (chunk: Buffer) => {
        size += chunk.length;
      });
    } else {
      size = content.bytes.length;
    }
    const parsed = await readMime(source, discard, { signal: context.signal });
    return !isSubstitute(parsed) && content.doubt?.() === undefined && size <= maxMessageSize;
  });
  return given === true;
}

const discard: MimeSink = {
  attachment: async (_, content) => await drained(content),
  longBody: async (_, content) => await drained(content),
};

async function drained(content: Readable): Promise<void> {
  content.resume();
  await finished(content);
}

async function checkInAgain(
  context: ImportContext,
  mail: ListedMail,
  content: Extract<MailContent, { kind: 'bytes' | 'stream' }>,
  { inProgress, importedAt }: { readonly inProgress: string; readonly importedAt: number },
): Promise<CheckedIn> {
  const container = await context.inbox.assets();
  return await checkIn(
    { container, account: context.account },
    mail,
    content.kind === 'bytes' ? content.bytes : content.stream,
    {
      signal: context.signal,
      importedAt,
      oversize: false,
      maxBytes: context.stored.account.import.maxMessageSize,
      ...(content.doubt ? { doubt: content.doubt } : {}),
      replacing: true,
      mayReplace: () => checkInProgress(context, inProgress),
      bounces: context.inbox.bounces,
    },
  );
}

function completedEntry({ inbox, stored, store }: ImportContext, entry: LedgerRow, mail: CheckedIn): LedgerRow {
  const { keepOriginal: _, dueAt: __, ...rest } = entry;
  const due = dueAt(stored.account, inbox.clock.now());
  return {
    ...rest,
    size: mail.size,
    sha256: mail.sha256,
    messageId: keptMessageId(mail.messageId),
    completedAt: inbox.clock.now(),
    todoEvent: true,
    ...(mail.bounces ? { todoBounce: true } : {}),
    todoDispose: disposals(stored.account, store.abilities, false).length > 0,
    ...(due === undefined ? {} : { dueAt: due }),
  };
}
