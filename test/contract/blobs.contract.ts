import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ContainerClient } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';

/** What the service asks of blobs, wherever they are kept. `container` is asked for within the tests. */
export function blobsContract(container: () => ContainerClient): void {
  const blob = (path: string) => container().getBlockBlobClient(path);
  const put = (path: string, text: string, options = {}) => blob(path).upload(text, text.length, options);
  const textOf = async (path: string) => (await blob(path).downloadToBuffer()).toString();
  const etagOf = async (path: string) => (await blob(path).getProperties()).etag ?? '';
  const stage = (path: string, n: number, text: string) =>
    blob(path).stageBlock(Buffer.from(`block${n}`).toString('base64'), Buffer.from(text), text.length);
  const commit = (path: string, count: number, options = {}) =>
    blob(path).commitBlockList(
      Array.from({ length: count }, (_, n) => Buffer.from(`block${n}`).toString('base64')),
      options,
    );
  const names = async (prefix: string) => {
    const found: string[] = [];
    for await (const { name } of container().listBlobsFlat({ prefix })) found.push(name);
    return found;
  };
  const status = (statusCode: number) => expect.objectContaining({ statusCode });

  describe('a blob', () => {
    it('is there as it was written, with its type and metadata, and has another etag after each write', async () => {
      const options = { blobHTTPHeaders: { blobContentType: 'message/rfc822' }, metadata: { sha256: 'abc' } };
      await put('written/a', 'one', options);
      const first = await blob('written/a').getProperties();
      expect(first).toMatchObject({ contentLength: 3, contentType: 'message/rfc822', metadata: { sha256: 'abc' } });
      expect((await blob('written/a').download()).metadata).toEqual({ sha256: 'abc' });
      await put('written/a', 'other', options);
      expect(await textOf('written/a')).toBe('other');
      expect(await etagOf('written/a')).not.toBe(first.etag);
    });

    it('is created only where there is none, and replaced only as it was read', async () => {
      const none = { conditions: { ifNoneMatch: '*' } };
      await put('conditions/a', 'one', none);
      await expect(put('conditions/a', 'two', none)).rejects.toEqual(status(409));
      const etag = await etagOf('conditions/a');
      await put('conditions/a', 'two', { conditions: { ifMatch: etag } });
      await expect(put('conditions/a', 'three', { conditions: { ifMatch: etag } })).rejects.toEqual(status(412));
      await expect(put('conditions/none', 'x', { conditions: { ifMatch: etag } })).rejects.toEqual(status(412));
      expect([await textOf('conditions/a'), await names('conditions/')]).toEqual(['two', ['conditions/a']]);
    });

    it('in blocks is there once they are committed, in the order of the list', async () => {
      await stage('blocks/a', 1, ' two');
      await stage('blocks/a', 0, 'one');
      expect(await names('blocks/')).toEqual([]);
      await expect(commit('blocks/a', 3)).rejects.toEqual(status(400));
      await commit('blocks/a', 2, { blobHTTPHeaders: { blobContentType: 'text/plain' } });
      expect(await textOf('blocks/a')).toBe('one two');
      await stage('blocks/a', 0, 'x');
      await expect(commit('blocks/a', 1, { conditions: { ifNoneMatch: '*' } })).rejects.toEqual(status(409));
      await expect(commit('blocks/a', 1, { conditions: { ifMatch: '"none"' } })).rejects.toEqual(status(412));
      expect(await textOf('blocks/a')).toBe('one two');
    });

    it('loses the blocks of one upload to another one that ends first', async () => {
      await stage('discarded/a', 0, 'whole');
      await stage('discarded/a', 1, 'x');
      await commit('discarded/a', 1);
      await expect(commit('discarded/a', 2)).rejects.toEqual(status(400));
      expect(await textOf('discarded/a')).toBe('whole');
    });

    it('is read whole and in part', async () => {
      await put('read/a', '0123456789');
      const downloaded = await blob('read/a').download(2, 3);
      expect((await buffer(downloaded.readableStreamBody ?? Readable.from([]))).toString()).toBe('234');
      expect((await blob('read/a').downloadToBuffer(7, 3)).toString()).toBe('789');
      const whole = await blob('read/a').download();
      expect((await buffer(whole.readableStreamBody ?? Readable.from([]))).toString()).toBe('0123456789');
      const more = await blob('read/a').download(8, 100);
      expect((await buffer(more.readableStreamBody ?? Readable.from([]))).toString()).toBe('89');
      await expect(blob('read/a').downloadToBuffer(8, 3)).rejects.toThrow('Stream drains before');
      const other = { conditions: { ifMatch: '"none"' } };
      await expect(blob('read/a').downloadToBuffer(0, 1, other)).rejects.toEqual(status(412));
    });

    it('that is not there is told by every read and by a delete, not by deleteIfExists', async () => {
      await expect(blob('none').download()).rejects.toEqual(status(404));
      await expect(blob('none').downloadToBuffer()).rejects.toEqual(status(404));
      await expect(blob('none').getProperties()).rejects.toEqual(status(404));
      await expect(blob('none').delete()).rejects.toEqual(status(404));
      expect((await blob('none').deleteIfExists()).succeeded).toBe(false);
      expect(await blob('none').exists()).toBe(false);
    });

    it('is deleted only as it was read', async () => {
      await put('deleted/a', 'x');
      const etag = await etagOf('deleted/a');
      await put('deleted/a', 'y');
      const old = { conditions: { ifMatch: etag } };
      await expect(container().deleteBlob('deleted/a', old)).rejects.toEqual(status(412));
      await expect(blob('deleted/a').deleteIfExists(old)).rejects.toEqual(status(412));
      await container().deleteBlob('deleted/a', { conditions: { ifMatch: await etagOf('deleted/a') } });
      expect(await blob('deleted/a').exists()).toBe(false);
    });

    it('is neither written nor deleted by a caller who has stopped', async () => {
      const options = { abortSignal: AbortSignal.abort() };
      await expect(put('aborted/a', 'x', options)).rejects.toThrow(/abort/i);
      await put('aborted/b', 'x');
      await expect(container().deleteBlob('aborted/b', options)).rejects.toThrow(/abort/i);
      expect(await names('aborted/')).toEqual(['aborted/b']);
    });
  });

  it('a list has the names that begin so, in order, each with its etag', async () => {
    for (const name of ['list/b', 'list/a', 'listed']) await put(name, 'x');
    const found = [];
    for await (const { name, properties } of container().listBlobsFlat({ prefix: 'list/' })) {
      found.push([name, properties.etag.replaceAll('"', '')]);
    }
    const etags = [await etagOf('list/a'), await etagOf('list/b')].map((etag) => etag.replaceAll('"', ''));
    expect(found).toEqual([
      ['list/a', etags[0]],
      ['list/b', etags[1]],
    ]);
  });

  it('a list of folders has each once', async () => {
    for (const name of ['tree/a/1', 'tree/a/2', 'tree/b/1', 'tree/c']) await put(name, 'x');
    const found = [];
    for await (const { kind, name } of container().listBlobsByHierarchy('/', { prefix: 'tree/' })) {
      found.push(`${kind} ${name}`);
    }
    expect(found.sort()).toEqual(['blob tree/c', 'prefix tree/a/', 'prefix tree/b/']);
  });
}
