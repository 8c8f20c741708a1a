import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { prefixes } from '../keys.ts';
import { moveReplacement } from './move-replacement.ts';
import { imported, importLater, mail, note, readAsset, type Stage, text } from './substitute.test-support.ts';

const signal = new AbortController().signal;
const options = { signal, mayReplace: async () => undefined };

/** A mail with all that an asset may have blobs of: long bodies, and an attachment. */
const longMail = text([
  'From: sender@example.com',
  'Subject: A long mail',
  'Message-ID: <long@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: multipart/alternative; boundary=c',
  '',
  '--c',
  '',
  'words '.repeat(50_000),
  '--c',
  'Content-Type: text/html',
  '',
  `<p>${'words '.repeat(50_000)}</p>`,
  '--c--',
  '--b',
  'Content-Disposition: attachment; filename=a.html',
  'Content-Type: text/html',
  '',
  'the attachment',
  '--b--',
  '',
]);

/** Blobs of the asset by the end of their names: what is in them, and the type they are served under. */
async function blobsOf({ inbox, paths }: Stage) {
  const blobs = [];
  for (const name of inbox.assets.names(paths.folder)) {
    const { contentType } = await inbox.assets.client.getBlobClient(name).getProperties();
    const content = name === paths.description ? '' : inbox.assets.text(name);
    blobs.push({ name: name.slice(paths.folder.length), contentType, content });
  }
  return blobs;
}

/** The description, without what two accounts cannot have in common. */
async function descriptionOf({ describeAsset, paths }: Stage) {
  const description = { ...(await describeAsset()), id: '', account: '', importedAt: '' };
  return JSON.parse(JSON.stringify(description).replaceAll(paths.folder, ''));
}

describe('moving a replacement', () => {
  it('leaves the asset as if the server had given the mail at once', async () => {
    const [atOnce, later] = [await imported({}, longMail), await imported()];
    later.server.given = () => longMail;
    await importLater(later.inbox);
    const { textPath, htmlPath } = await descriptionOf(later);
    expect([textPath, htmlPath]).toEqual(['text.txt', 'body.html']);
    expect(await descriptionOf(later)).toEqual(await descriptionOf(atOnce));
    expect(await blobsOf(later)).toEqual(await blobsOf(atOnce));
  });

  it('touches no blob of another asset', async () => {
    const { inbox, id, paths } = await imported();
    const others = [`${inbox.name}/${id}0/message.eml`, `${inbox.name}/other/message.eml`, 'another/a/message.eml'];
    for (const name of others) inbox.assets.put(name, 'of another asset');
    await moveReplacement(inbox.assets.client, inbox.name, id, options);
    expect(inbox.assets.names()).toEqual([paths.description, paths.message, ...others].sort());
  });

  it('does nothing where the asset was deleted, and fails where storage does', async () => {
    const { inbox, id, paths } = await imported();
    inbox.assets.onRequest = () => {
      throw new Error('storage is away');
    };
    const move = () => moveReplacement(inbox.assets.client, inbox.name, id, options);
    await expect(move()).rejects.toThrow('storage is away');
    inbox.assets.onRequest = () => undefined;
    await inbox.assets.client.deleteBlob(paths.description);
    const before = inbox.assets.names();
    await move();
    expect(inbox.assets.names()).toEqual(before);
  });

  it('removes what the description does not name, but nothing that another has written since', async () => {
    const { inbox, id, paths } = await imported();
    const [old, anew] = [`${paths.folder}attachments/1-old`, `${paths.folder}attachments/2-anew`];
    inbox.assets.put(old, 'old');
    inbox.assets.put(anew, 'old');
    inbox.assets.onRequest = (method, path) => {
      if (method === 'delete' && path === anew) inbox.assets.put(path, 'anew');
    };
    await moveReplacement(inbox.assets.client, inbox.name, id, options);
    expect([inbox.assets.text(old), inbox.assets.text(anew)]).toEqual([undefined, 'anew']);
  });

  it('does not mind a blob that another has removed first, and fails where storage refuses to remove one', async () => {
    const { inbox, id, paths } = await imported();
    const old = `${paths.folder}attachments/1-old`;
    inbox.assets.put(old, 'old');
    const move = () => moveReplacement(inbox.assets.client, inbox.name, id, options);
    inbox.assets.onRequest = (method) => {
      if (method === 'delete') throw new RestError('storage is away', { statusCode: 503 });
    };
    await expect(move()).rejects.toThrow('storage is away');
    expect(inbox.assets.text(old)).toBe('old');
    inbox.assets.onRequest = (method, path) => {
      if (method === 'delete') inbox.assets.remove(path);
    };
    await move();
    expect(inbox.assets.text(old)).toBeUndefined();
  });

  it('removes nothing once another run has taken the asset over', async () => {
    const { inbox, id, paths } = await imported();
    inbox.assets.put(`${paths.folder}attachments/1-old`, 'old');
    const before = inbox.assets.names();
    const mayReplace = async () => {
      throw new Error('taken over');
    };
    const move = moveReplacement(inbox.assets.client, inbox.name, id, { signal, mayReplace });
    await expect(move).rejects.toThrow('taken over');
    expect(inbox.assets.names()).toEqual(before);
  });

  it('replaces nothing once another run has taken the asset over', async () => {
    const stage = await imported();
    const { inbox, server, paths } = stage;
    server.given = () => mail;
    let takenOver = false;
    inbox.assets.onRequest = async (method, path) => {
      if (method !== 'upload' || path !== paths.message) return;
      for (const { key } of await inbox.rowsOf(prefixes.inProgress)) {
        await inbox.rows.write(inbox.name, [{ kind: 'delete', key }]);
        takenOver = true;
      }
    };
    await importLater(inbox);
    expect(takenOver).toBe(true);
    expect(inbox.assets.text(paths.message)).toBe(note.toString());
    // It reads as the mail all the same, from where the mail lies until it is moved.
    expect(await readAsset(stage)).toBe('mail');
  });

  it('that is in its place already writes nothing', async () => {
    const stage = await imported();
    stage.server.given = () => mail;
    await importLater(stage.inbox);
    const before = stage.inbox.assets.names();
    const methods = new Set<string>();
    stage.inbox.assets.onRequest = (method) => void methods.add(method);
    await moveReplacement(stage.inbox.assets.client, stage.inbox.name, stage.id, options);
    expect(methods).toEqual(new Set(['download']));
    expect(stage.inbox.assets.names()).toEqual(before);
    expect(await readAsset(stage)).toBe('mail');
  });
});
