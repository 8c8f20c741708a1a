import { describe, expect, it } from 'vitest';
import { MemoryBlobs } from '../../../test/support/memory-blobs.ts';
import { refusalOf } from '../../../test/support/refusal-of.ts';
import { findUploads, isUploadId, removeExpiredUploads, storeUpload, uploadLifeMs } from './uploads.ts';

/** Uploads without a storage; what needs one is in `uploads.test.ts`. */

const options = { signal: new AbortController().signal };
const hour = 3_600_000;

function site() {
  const blobs = new MemoryBlobs();
  const time = { now: Date.UTC(2026, 5, 1) };
  const context = { clock: { now: () => time.now }, uploads: async () => blobs.client };
  const upload = async (text: string) =>
    await storeUpload(
      context,
      (async function* () {
        yield Buffer.from(text);
      })(),
      options,
    );
  return { blobs, time, context, upload };
}

describe('the id of an upload', () => {
  it('is chance in each of its 160 bits, whatever the bytes are', async () => {
    const { upload } = site();
    const ids: string[] = [];
    for (let n = 0; n < 64; n += 1) ids.push((await upload('the same')).id);
    expect(ids.every(isUploadId)).toBe(true);
    // By chance, a bit is the same in all of them once in 2^63.
    for (let bit = 0; bit < 160; bit += 1) {
      const values = ids.map((id) => (Buffer.from(id, 'hex').readUInt8(bit >> 3) >> (bit & 7)) & 1);
      expect(new Set(values).size, `bit ${bit}`).toBe(2);
    }
  });

  it.each(['', 'x', 'a'.repeat(39), 'a'.repeat(41), 'A'.repeat(40), `../${'a'.repeat(37)}`])('is not %j', (text) => {
    expect(isUploadId(text)).toBe(false);
  });
});

describe('uploads', () => {
  it('are found by their ids, and others are not', async () => {
    const { blobs, context, upload, time } = site();
    const { id } = await upload('bytes');
    // Written by something else: it says no end.
    blobs.put('b'.repeat(40), 'bytes');
    blobs.put('c'.repeat(40), 'bytes', { expiresat: 'soon' });
    const found = await findUploads(context, [id, 'a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)], options);
    expect([...found.values()]).toEqual([
      { id, size: 5, etag: expect.any(String), expiresAt: time.now + uploadLifeMs },
    ]);
    expect(await findUploads(context, [], options)).toEqual(new Map());
  });

  it('are not found where storage fails', async () => {
    const { context } = site();
    const away = Object.assign(new Error('storage is away'), { statusCode: 503 });
    const uploads = async () => {
      throw away;
    };
    await expect(findUploads({ ...context, uploads }, ['a'.repeat(40)], options)).rejects.toBe(away);
  });

  it('without a byte are refused, and nothing is kept', async () => {
    const { blobs, upload } = site();
    expect(await refusalOf(upload(''))).toMatchObject({ reason: 'invalid' });
    expect(blobs.names()).toEqual([]);
  });
});

describe('uploads whose life is over', () => {
  it('are removed an hour later, many in each run', async () => {
    const { blobs, context, time } = site();
    for (let n = 0; n < 2_010; n += 1) {
      blobs.put(String(n).padStart(40, '0'), 'x', { expiresat: String(time.now) });
    }
    blobs.put('f'.repeat(40), 'x', { expiresat: String(time.now + 1) });
    time.now += hour;
    await removeExpiredUploads(context, options);
    expect(blobs.names()).toHaveLength(2_011);
    time.now += 1;
    await removeExpiredUploads(context, options);
    expect(blobs.names()).toHaveLength(11);
    await removeExpiredUploads(context, options);
    expect(blobs.names()).toEqual(['f'.repeat(40)]);
  });

  /** Twelve that are to be removed, more than are removed at a time; `onDelete` is told of each before. */
  function expired(onDelete: (path: string, blobs: MemoryBlobs) => void) {
    const { blobs, context } = site();
    const names = Array.from({ length: 12 }, (_, n) => n.toString(16).repeat(40));
    for (const name of names) blobs.put(name, 'old', { expiresat: '1' });
    blobs.onRequest = (method, path) => {
      if (method === 'delete') onDelete(path, blobs);
    };
    return { blobs, remove: () => removeExpiredUploads(context, options), first: names[0] ?? '' };
  }

  it('stay where one was written anew since it was listed, and the others go', async () => {
    const { blobs, remove, first } = expired((path, all) => {
      if (path === first) all.put(path, 'new', { expiresat: String(Date.UTC(2027, 0, 1)) });
    });
    await remove();
    expect(blobs.names()).toEqual([first]);
    expect(blobs.text(first)).toBe('new');
  });

  it('are no error where somebody else removed one since it was listed', async () => {
    const { blobs, remove, first } = expired((path, all) => {
      if (path === first) all.remove(path);
    });
    await remove();
    expect(blobs.names()).toEqual([]);
  });

  it('go but for one that storage refuses to remove, and that is told', async () => {
    const { blobs, remove, first } = expired((path) => {
      if (path === first) throw Object.assign(new Error('away'), { statusCode: 503 });
    });
    await expect(remove()).rejects.toMatchObject({ statusCode: 503 });
    expect(blobs.names()).toEqual([first]);
  });
});
