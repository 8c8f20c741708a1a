import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { MemoryBlobs } from '../../../test/support/memory-blobs.ts';
import { turns } from '../../../test/support/turns.ts';
import { assetPaths } from '../../assets/asset.ts';
import { KeptParts } from './kept-parts.ts';

/** Where the parts of a mail go, in storage that is in memory here. */

const paths = assetPaths('test', 'test.a');

const text = (...lines: readonly string[]) => Buffer.from(lines.join('\r\n'));
const head = text('From: ann@example.com', 'Content-Type: multipart/mixed; boundary=b', '', '');
const page = text('--b', 'Content-Type: text/html', 'Content-Disposition: attachment; filename=a.html', '', '<p>', '');
const long = Array(5_000).fill('word '.padEnd(70, 'x')).join('\r\n');

function site(signal = new AbortController().signal) {
  const blobs = new MemoryBlobs();
  const kept = new KeptParts(blobs.client, paths, { signal, mayReplace: async () => undefined });
  const typeOf = async (path: string) => (await blobs.client.getBlobClient(path).getProperties()).contentType;
  return { blobs, kept, typeOf };
}

describe('a part of a mail', () => {
  it('is never served as what a browser would run, whatever its sender says', async () => {
    const { kept, typeOf } = site();
    const bodies = ['text/plain', 'text/html'].map((type) => text('--b', `Content-Type: ${type}`, '', long, ''));
    await kept.read(Buffer.concat([head, ...bodies, page, text('--b--', '')]));
    expect(await Promise.all([paths.text, paths.html, kept.pathOf(1)].map(typeOf))).toEqual([
      'text/plain; charset=utf-8',
      'text/plain; charset=utf-8',
      'application/octet-stream',
    ]);
  });

  it('is not being written any more when the reading of its mail has failed', async () => {
    const { blobs, kept } = site();
    const begun = Promise.withResolvers<void>();
    const free = Promise.withResolvers<void>();
    blobs.onRequest = async () => {
      begun.resolve();
      await free.promise;
    };
    const pieces = async function* () {
      yield Buffer.concat([head, page, text('--b', '', long)]);
      await begun.promise;
      throw new Error('the line broke');
    };
    let ended = false;
    const work = kept.read(Readable.from(pieces())).finally(() => {
      ended = true;
    });
    work.catch(() => undefined);
    await begun.promise;
    await turns();
    expect(ended).toBe(false);
    free.resolve();
    await expect(work).rejects.toThrow('the line broke');
    expect(blobs.names()).toEqual([kept.pathOf(1)]);
  });
});

it('a mail that stands still is let go when everything ends', async () => {
  const cut = new AbortController();
  const { kept } = site(cut.signal);
  const stream = new Readable({ read: () => cut.abort(new Error('the run is over')) });
  await expect(kept.read(stream)).rejects.toThrow('the run is over');
  expect(stream.destroyed).toBe(true);
});
