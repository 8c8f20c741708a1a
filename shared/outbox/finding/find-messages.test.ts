import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { deliver } from '../delivering/deliver.ts';
import { recordKey } from '../keys.ts';
import { cancelMessage } from '../messages.ts';
import type { Recipient } from '../record.ts';
import { type FindOptions, findInAccounts, findMessages } from './find-messages.ts';

const { signal } = new AbortController();
const minute = 60_000;

const to = (...addresses: string[]): Recipient[] => addresses.map((address) => ({ address, status: 'pending' }));

/** Ids of what is found, newest first. */
async function found(outbox: MemoryOutbox, options: Partial<FindOptions>): Promise<string[]> {
  const { records } = await findMessages(outbox.context, accountName, { signal, top: 100, ...options });
  return records.map(({ account, localId }) => `${account}.${localId}`);
}

/** Takes a mail over a minute after the one before it. */
async function accept(outbox: MemoryOutbox, ...fields: Parameters<MemoryOutbox['accept']>): Promise<string> {
  outbox.now += minute;
  return await outbox.accept(...fields);
}

/** Reads of single rows so far. */
function countReads(outbox: MemoryOutbox): () => number {
  let reads = 0;
  const { rows } = outbox;
  const get = rows.get.bind(rows);
  rows.get = (...given) => {
    reads += 1;
    return get(...given);
  };
  return () => reads;
}

describe('a search', () => {
  it('by recipient finds an address in any letter case, and in either form of its domain', async () => {
    const outbox = new MemoryOutbox();
    const first = await accept(outbox, { recipients: to('Anna.Meier@example.org', 'bob@example.org') });
    await accept(outbox, { recipients: to('bob@example.org') });
    const second = await accept(outbox, { recipients: to('anna.meier@EXAMPLE.org') });
    const umlaut = await accept(outbox, { recipients: to('info@xn--mller-kva.example') });
    expect(await found(outbox, { recipient: 'anna.meier@example.org' })).toEqual([second, first]);
    expect(await found(outbox, { recipient: 'ANNA.MEIER@EXAMPLE.ORG' })).toEqual([second, first]);
    expect(await found(outbox, { recipient: 'Info@müller.example' })).toEqual([umlaut]);
    expect(await found(outbox, { recipient: 'meier@example.org' })).toEqual([]);
  });

  it('by Message-ID finds every mail that has it, and reads no others', async () => {
    const outbox = new MemoryOutbox();
    for (let n = 0; n < 30; n += 1) await accept(outbox, { messageId: `<${n}@example.com>` });
    const again = await accept(outbox, { messageId: '<7@example.com>' });
    const reads = countReads(outbox);
    expect(await found(outbox, { messageId: '<7@example.com>' })).toHaveLength(2);
    expect(reads()).toBe(2);
    expect((await found(outbox, { messageId: '<7@example.com>' }))[0]).toBe(again);
    expect(await found(outbox, { messageId: '<7@Example.com>' })).toEqual([]);
  });

  it('by a status that few have reads only those, whatever else is there', async () => {
    const outbox = new MemoryOutbox();
    for (let n = 0; n < 20; n += 1) await deliver(outbox.context, await accept(outbox), { signal });
    outbox.transport.onSend = async ({ envelope }) => ({
      recipients: envelope.to.map((address) => ({ address, outcome: 'rejected' as const, code: '550' })),
      trouble: { scope: 'message', code: '550' },
    });
    const failed = await accept(outbox);
    await deliver(outbox.context, failed, { signal });
    const canceled = await accept(outbox);
    await cancelMessage(outbox.context, canceled, { signal });
    const waiting = await accept(outbox);
    const reads = countReads(outbox);
    expect(await found(outbox, { status: 'failed' })).toEqual([failed]);
    expect(await found(outbox, { status: 'canceled' })).toEqual([canceled]);
    expect(await found(outbox, { status: 'queued' })).toEqual([waiting]);
    expect(await found(outbox, { status: 'uncertain' })).toEqual([]);
    expect(reads()).toBeLessThanOrEqual(4);
    expect(await found(outbox, { status: 'sent' })).toHaveLength(20);
  });

  it('by date takes the beginning and leaves the end', async () => {
    const outbox = new MemoryOutbox();
    const begin = outbox.now;
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.unshift(await accept(outbox));
    const at = (n: number) => begin + (n + 1) * minute;
    expect(await found(outbox, { since: at(3) })).toEqual(ids.slice(0, 2));
    expect(await found(outbox, { until: at(3) })).toEqual(ids.slice(2));
    expect(await found(outbox, { since: at(1), until: at(3) })).toEqual(ids.slice(2, 4));
    expect(await found(outbox, { since: at(1) + 1, until: at(3) + 1 })).toEqual(ids.slice(1, 3));
    expect(await found(outbox, { since: at(3), until: at(3) })).toEqual([]);
    const recipient = 'anna@example.org';
    expect(await found(outbox, { recipient, since: at(1), until: at(3) })).toEqual(ids.slice(2, 4));
    expect(await found(outbox, { since: Date.UTC(1900, 0, 1), until: Date.UTC(9999, 0, 1) })).toEqual(ids);
  });

  it('with several filters finds what has all of it', async () => {
    const outbox = new MemoryOutbox();
    const messageId = '<same@example.com>';
    const sent = await accept(outbox, { messageId });
    await deliver(outbox.context, sent, { signal });
    const waiting = await accept(outbox, { messageId });
    const other = await accept(outbox, { messageId, recipients: to('bob@example.org') });
    const recipient = 'anna@example.org';
    expect(await found(outbox, { messageId })).toEqual([other, waiting, sent]);
    expect(await found(outbox, { messageId, recipient })).toEqual([waiting, sent]);
    expect(await found(outbox, { messageId, recipient, status: 'sent' })).toEqual([sent]);
    expect(await found(outbox, { recipient, status: 'queued' })).toEqual([waiting]);
    expect(await found(outbox, { messageId: '<other@example.com>', recipient })).toEqual([]);
  });

  it('believes the record and not the row that led to it', async () => {
    const outbox = new MemoryOutbox();
    const id = await accept(outbox);
    await cancelMessage(outbox.context, id, { signal });
    const key = `m:${id.split('.')[1]}`;
    await outbox.rows.write(accountName, [{ kind: 'merge', key, columns: { status: 'sent' } }]);
    expect(await found(outbox, { status: 'canceled' })).toEqual([]);
    await outbox.rows.write(accountName, [{ kind: 'delete', key }]);
    expect(await found(outbox, { recipient: 'anna@example.org' })).toEqual([]);
  });
});

describe('a record that cannot be read', () => {
  it.each<[string, Partial<FindOptions>]>([
    ['all', {}],
    ['those of a recipient', { recipient: 'anna@example.org' }],
  ])('is left out of a list of %s, which has all the others', async (_, wanted) => {
    const outbox = new MemoryOutbox();
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.unshift(await accept(outbox));
    for (const id of [ids[1], ids[4]]) {
      const key = recordKey(id?.split('.')[1] ?? '');
      await outbox.rows.write(accountName, [{ kind: 'merge', key, columns: { status: 'of a newer version' } }]);
    }
    const seen: string[] = [];
    for (let after: string | undefined, page = 0; page < 5; page += 1) {
      const options = { signal, top: 1, ...wanted, ...(after === undefined ? {} : { after }) };
      const { records, next } = await findInAccounts(outbox.context, [{ name: accountName }], options);
      seen.push(...records.map(({ localId }) => `${accountName}.${localId}`));
      if (next === undefined) break;
      after = next;
    }
    expect(seen).toEqual([ids[0], ids[2], ids[3]]);
  });
});

describe('pages', () => {
  /** Ids of all pages, with `between` before each but the first. */
  async function pages(
    outbox: MemoryOutbox,
    options: Partial<FindOptions>,
    between: () => Promise<unknown> = async () => undefined,
  ): Promise<string[][]> {
    const all: string[][] = [];
    let after: string | undefined;
    do {
      if (all.length > 0) await between();
      const page = await findInAccounts(
        outbox.context,
        [...outbox.accounts.keys()].map((name) => ({ name })),
        {
          signal,
          top: 3,
          ...options,
          ...(after === undefined ? {} : { after }),
        },
      );
      all.push(page.records.map(({ account, localId }) => `${account}.${localId}`));
      after = page.next;
    } while (after !== undefined);
    return all;
  }

  it('of several accounts hold each mail once, newest first, though new mail comes meanwhile', async () => {
    const outbox = new MemoryOutbox();
    outbox.account({ name: 'second' });
    const ids: string[] = [];
    for (let n = 0; n < 10; n += 1) {
      ids.unshift(await accept(outbox, { account: n % 3 === 0 ? 'second' : accountName }));
    }
    for (const options of [{}, { recipient: 'anna@example.org' }, { status: 'queued' } as const]) {
      const all = await pages(outbox, { ...options, until: outbox.now + 1 }, () => accept(outbox));
      expect(all.map((page) => page.length)).toEqual([3, 3, 3, 1]);
      expect(all.flat()).toEqual(ids);
      // What came meanwhile is not asked for again.
      outbox.now -= 3 * minute;
    }
  });

  it('end early, with a page that follows, where too many rows lead to nothing', { timeout: 180_000 }, async () => {
    const outbox = new MemoryOutbox();
    outbox.account({ name: 'second' });
    const last = await accept(outbox, { messageId: '<last@example.com>', status: 'sent' });
    const between = await accept(outbox, { account: 'second', status: 'sent' });
    for (let n = 0; n < 2_100; n += 1) await outbox.accept();
    const newest = await accept(outbox, { account: 'second', status: 'sent' });
    const all = await pages(outbox, { recipient: 'anna@example.org', status: 'sent' });
    expect(all.flat()).toEqual([newest, between, last]);
    expect(all).toHaveLength(3);
  });
});
