import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Azurite, startAzurite } from '../../../local/azurite.ts';
import { accepted, accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import type { OutboxContext } from '../context.ts';
import { deliver } from '../delivering/deliver.ts';
import { recordId } from '../record.ts';
import { storeUpload } from '../uploads/uploads.ts';
import { submit } from './submit.ts';

/** A mail that names uploads, from the request to what the server is given. */

const options = { signal: new AbortController().signal };
let azurite: Azurite;
let mime: ContainerClient;
let outbox: MemoryOutbox;
let context: OutboxContext;
let tests = 0;

beforeAll(async () => {
  azurite = await startAzurite();
});

afterAll(() => azurite?.stop());

beforeEach(async () => {
  tests += 1;
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString);
  const uploads = service.getContainerClient(`uploads-${tests}`);
  mime = service.getContainerClient(`outbox-${tests}`);
  await Promise.all([uploads.create(), mime.create()]);
  outbox = new MemoryOutbox();
  context = { ...outbox.context, uploads: async () => uploads, mime: async () => mime };
});

async function upload(text: string): Promise<string> {
  const source = async function* () {
    yield Buffer.from(text);
  };
  return (await storeUpload(context, source(), options)).id;
}

async function post(fields: Readonly<Record<string, unknown>>) {
  const account = outbox.accounts.get(accountName) ?? expect.fail('no account');
  const read = async () => ({ to: 'anna@example.org', subject: 'Hello', text: 'Hello', ...fields });
  return (await submit(context, account, { mail: { kind: 'fields', read } }, options)).record;
}

it('a mail leaves with the uploads that it names, each in its place, and has the size of it all', async () => {
  const [first, second] = [await upload('the first file'), await upload('another file, which is longer')];
  const record = await post({
    attachments: [
      { upload: second, filename: 'second.txt' },
      { upload: first, filename: 'first.txt' },
    ],
  });
  const id = recordId(record);
  expect(record.uploads?.map(({ size }) => size)).toEqual([29, 14]);
  // The text that lies there is not all of it: no delivery may take it for that.
  expect(outbox.queued()).toEqual([{ kind: 'mail', id, delayMs: 0 }]);
  let sent = '';
  outbox.transport.onSend = async (mail, { beforeCommit }) => {
    for await (const chunk of await mail.open(options.signal)) sent += String(chunk);
    await beforeCommit();
    return accepted(mail);
  };
  expect(await deliver(context, id, options)).toBe('ended');
  const parts = sent.matchAll(/filename="?(\w+\.txt)[\s\S]*?\r\n\r\n([\s\S]*?)\r\n--/g);
  const files = [...parts].map(([, name, text = '']) => [name, Buffer.from(text, 'base64').toString()]);
  expect(files).toEqual([
    ['second.txt', 'another file, which is longer'],
    ['first.txt', 'the first file'],
  ]);
  expect((await outbox.record(id)).size).toBe(sent.length);
});

it('one upload that is named twice is in the mail twice', async () => {
  const id = await upload('a file');
  const record = await post({
    attachments: [
      { upload: id, filename: 'a.txt' },
      { upload: id, filename: 'b.txt' },
    ],
  });
  expect(record.uploads?.map(({ upload: number, size }) => [number, size])).toEqual([
    [0, 6],
    [0, 6],
  ]);
});
