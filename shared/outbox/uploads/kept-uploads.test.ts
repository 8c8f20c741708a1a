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

  it('stay where one was written anew since it was listed, and the failure is told', async () => {
    const { blobs, context, time } = site();
    const name = '0'.repeat(40);
    blobs.put(name, 'old', { expiresat: '1' });
    blobs.onRequest = (method, path) => {
      if (method === 'delete') blobs.put(path, 'new', { expiresat: String(time.now + hour) });
    };
    await expect(removeExpiredUploads(context, options)).rejects.toMatchObject({ statusCode: 412 });
    expect(blobs.text(name)).toBe('new');
  });
});
