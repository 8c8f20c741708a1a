import { createHash } from 'node:crypto';
import { Readable, Transform } from 'node:stream';
import type { ListedMail } from '../adapters/store.ts';
import { accountId } from '../platform/ids.ts';
import { errorText, log } from '../platform/log.ts';
import type { RowWrite } from '../platform/rows.ts';
import { uploadUnknown } from '../platform/upload.ts';
import { assetRest } from './keys.ts';
import { quarantinePath, quarantineRows } from './pending.ts';
import { isOwnTrouble } from './trouble.ts';
import type { Work } from './work.ts';

/**
 * Gives a mail up after its last attempt: its raw MIME is kept as the server gives it, unread, if the server gives it
 * at all. Answers the rows that are to be committed; the event goes out at once, since a repeat has the same id.
 */
export async function quarantine(work: Work, mail: ListedMail, reason: string): Promise<RowWrite[]> {
  const { context, name, signal } = work;
  const rest = assetRest(name, mail.source);
  const raw = await keepRaw(work, mail, quarantinePath(name, rest));
  log.error('inbox.quarantined', { asset: accountId(name, rest), hasMime: raw !== undefined });
  await context.events.publish(
    {
      type: 'mailroom.mail.quarantined',
      account: name,
      subject: accountId(name, rest),
      time: context.clock.now(),
      data: { assetId: accountId(name, rest) },
    },
    { signal },
  );
  return quarantineRows(work, mail, reason, raw);
}

async function keepRaw(
  work: Work,
  mail: ListedMail,
  path: string,
): Promise<{ size: number; sha256: string } | undefined> {
  const { context, session, signal } = work;
  for await (const { content } of session.fetch([mail], { signal })) {
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
      const size = await uploadUnknown(
        await context.quarantine(),
        path,
        source.pipe(hashing),
        'message/rfc822',
        signal,
      );
      return { size, sha256: hash.digest('hex') };
    } catch (error) {
      if (!isOwnTrouble(error) || signal.aborted) {
        throw error;
      }
      log.warn('inbox.quarantineWithoutMime', {
        asset: accountId(work.name, assetRest(work.name, mail.source)),
        error: errorText(error),
      });
      return undefined;
    } finally {
      source.destroy();
    }
  }
  return undefined;
}
