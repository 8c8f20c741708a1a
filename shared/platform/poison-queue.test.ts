import type { DequeuedMessageItem } from '@azure/storage-queue';
import { expect, it } from 'vitest';
import { inLogScope, type LogSink } from './log.ts';
import { emptyPoisonQueue, type GivenUp, type PoisonQueue } from './poison-queue.ts';

const options = { signal: new AbortController().signal };
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A queue of these texts, which hides what was received. */
function queueOf(texts: readonly string[]) {
  const waiting = texts.map((messageText, n) => ({ messageId: `m${n}`, messageText }));
  const deleted: string[] = [];
  const client = {
    receiveMessages: async ({ numberOfMessages = 1 } = {}) => ({
      receivedMessageItems: waiting.splice(0, numberOfMessages).map((item) => ({
        ...item,
        popReceipt: `p-${item.messageId}`,
        insertedOn: new Date(1_000),
      })) as DequeuedMessageItem[],
    }),
    deleteMessage: async (id: string, receipt: string) => {
      deleted.push(`${id} ${receipt}`);
    },
  };
  return { deleted, client: client as unknown as PoisonQueue };
}

/** What is logged meanwhile. */
async function logged(task: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  const sink: LogSink = (level, line) => void lines.push(`${level} ${line}`);
  await inLogScope({ sink }, task);
  return lines.join('\n');
}

it('hands over every message, deletes it, and says what became of it, without what it says', async () => {
  const texts = Array.from({ length: 70 }, (_, n) => base64(JSON.stringify({ id: `secret-${n}` })));
  const { client, deleted } = queueOf([...texts, 'not base64!', base64('no JSON')]);
  const seen: GivenUp[] = [];
  const log = await logged(() =>
    emptyPoisonQueue(
      client,
      'mail-send-poison',
      async (given) => {
        seen.push(given);
        return given.entry === undefined ? { result: 'unknown' } : { result: 'failed', account: 'corpus' };
      },
      options,
    ),
  );
  expect(seen).toHaveLength(72);
  expect(seen[0]).toEqual({ id: 'm0', at: 1_000, entry: { id: 'secret-0' } });
  expect(seen.slice(-2).map(({ entry }) => entry)).toEqual([undefined, undefined]);
  expect(deleted).toHaveLength(72);
  expect(log.split('\n')).toHaveLength(72);
  expect(log).toContain('"event":"queue.gaveUp"');
  expect(log).toContain('"queue":"mail-send-poison","result":"failed","account":"corpus"');
  expect(log).not.toContain('secret');
});

it('keeps a message whose handling fails, and goes on with the others', async () => {
  const { client, deleted } = queueOf(['1', '2', '3'].map(base64));
  const log = await logged(async () => {
    const emptied = emptyPoisonQueue(
      client,
      'mail-send-poison',
      async ({ entry }) => {
        if (entry === 2) throw new Error('storage is away');
        return { result: 'left' };
      },
      options,
    );
    await expect(emptied).rejects.toThrow('1 messages of mail-send-poison could not be handled');
  });
  expect(deleted).toEqual(['m0 p-m0', 'm2 p-m2']);
  expect(log).toMatch(/error .*"event":"queue.gaveUpNotHandled".*storage is away/);
});

it('leaves a message to whoever received it since', async () => {
  const { client } = queueOf([base64('1')]);
  const deleteMessage = async () => {
    throw Object.assign(new Error('the pop receipt did not match'), { statusCode: 404 });
  };
  const stale = { ...client, deleteMessage } as PoisonQueue;
  await expect(emptyPoisonQueue(stale, 'q', async () => ({ result: 'left' }), options)).resolves.toBeUndefined();
});
