import { createHash } from 'node:crypto';
import { Readable, Transform } from 'node:stream';
import type { ListedMail } from '../../adapters/store.ts';
import { accountId } from '../../platform/ids.ts';
import { errorText, log } from '../../platform/log.ts';
import type { RowWrite } from '../../platform/rows.ts';
import { uploadUnknown } from '../../platform/upload.ts';
import { assetLocalId, ledgerKey, pendingKey, quarantineKey } from '../keys.ts';
import { type LedgerRow, ledgerColumns } from '../ledger/ledger.ts';
import { checkInProgress } from '../ledger/pages-in-progress.ts';
import { quarantinePath } from '../ledger/pending.ts';
import { Superseded } from '../session/fence.ts';
import type { ImportContext } from '../session/import-context.ts';
import { isOwnTrouble } from './trouble.ts';
import { until } from './until.ts';

/** A mail given up: its ledger row, which says that its event is still to be published, and all rows to be committed. */
export interface Quarantined {
  readonly entry: LedgerRow;
  readonly rows: readonly RowWrite[];
}

/** Why and how a mail is given up. */
export interface QuarantineOptions {
  readonly reason: string;
  /** Failed ones. */
  readonly attempts: number;
  /** The row of the page that this is part of. */
  readonly inProgress: string;
  /** When the raw MIME is no longer waited for. */
  readonly limit?: AbortSignal | undefined;
}

/**
 * Gives a mail up after its last attempt: its raw MIME is kept as the server gives it, unread, if the server gives it
 * at all. The original is never deleted.
 */
export async function quarantine(
  context: ImportContext,
  mail: ListedMail,
  { reason, attempts, inProgress, limit }: QuarantineOptions,
): Promise<Quarantined> {
  const { inbox, account } = context;
  const localId = assetLocalId(account, mail.source);
  const raw = await keepRaw(context, mail, quarantinePath(account, localId), { inProgress, limit });
  log.error('inbox.quarantined', { asset: accountId(account, localId), hasMime: raw !== undefined });
  const now = inbox.clock.now();
  const key = ledgerKey(mail.source);
  const entry: LedgerRow = {
    key,
    ...mail.source,
    folder: mail.folder,
    asset: localId,
    state: 'quarantined',
    importedAt: now,
    receivedAt: mail.receivedAt,
    listedSize: mail.size,
    size: raw?.size ?? 0,
    sha256: raw?.sha256 ?? '',
    keepOriginal: true,
    todoEvent: true,
  };
  return {
    entry,
    rows: [
      { kind: 'insert', key, columns: ledgerColumns(entry) },
      {
        kind: 'put',
        key: quarantineKey(now, localId),
        columns: {
          ledger: key,
          reason: reason.slice(0, 300),
          attempts,
          folder: mail.folder,
          at: now,
          hasMime: raw !== undefined,
        },
      },
      { kind: 'delete', key: pendingKey(key) },
    ],
  };
}

async function keepRaw(
  context: ImportContext,
  mail: ListedMail,
  path: string,
  { inProgress, limit }: Pick<QuarantineOptions, 'inProgress' | 'limit'>,
): Promise<{ size: number; sha256: string } | undefined> {
  const { inbox, session, signal } = context;
  const fetched = session.fetch([mail], { signal, ...(limit ? { limit } : {}) });
  for await (const { content } of limit ? until(limit, fetched) : fetched) {
    if (content.kind !== 'bytes' && content.kind !== 'stream') {
      return undefined;
    }
    const hash = createHash('sha256');
    const hashing = new Transform({
      transform(chunk: Buffer, _, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    const source = content.kind === 'bytes' ? Readable.from([content.bytes]) : content.stream;
    source.on('error', (error) => hashing.destroy(error));
    try {
      const blob = (await inbox.quarantine()).getBlockBlobClient(path);
      const size = await uploadUnknown(blob, source.pipe(hashing), {
        contentType: 'message/rfc822',
        signal: limit ? AbortSignal.any([signal, limit]) : signal,
        mayReplace: () => checkInProgress(context, inProgress),
      });
      return { size, sha256: hash.digest('hex') };
    } catch (error) {
      const noTime = limit?.aborted === true && !(error instanceof Superseded);
      if (signal.aborted || !(noTime || isOwnTrouble(error))) {
        throw error;
      }
      log.warn('inbox.quarantineWithoutMime', {
        asset: accountId(context.account, assetLocalId(context.account, mail.source)),
        error: errorText(error),
      });
      return undefined;
    } finally {
      source.destroy();
    }
  }
  return undefined;
}
