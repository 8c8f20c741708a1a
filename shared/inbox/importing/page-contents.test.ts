import { Readable } from 'node:stream';
import { RestError } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { turns } from '../../../test/support/turns.ts';
import { BrokenMail, type MailContent } from '../../adapters/mail-content.ts';
import type { FetchOptions, ListedMail } from '../../adapters/store.ts';
import { changeSession, type FakeMail, fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';
import { pageKeys, prefixes } from '../keys.ts';
import { beginPage } from '../ledger/pages-in-progress.ts';
import { Superseded } from '../session/fence.ts';
import { PageContents } from './page-contents.ts';
import { forever, listed, withRound } from './round.test-support.ts';
import type { RoundContext } from './round-context.ts';

/** The contents of a page's mails, from a mailbox in memory. */

const itemOf = (n: number) => fakeMail(n).item;
const newScope = 'INBOX;8';

/** An inbox with these mails. */
function filled(numbers: readonly number[], rule: Readonly<Record<string, unknown>> = {}): TestInbox {
  const inbox = new TestInbox(rule);
  inbox.store.mails = numbers.map(fakeMail);
  return inbox;
}

/** What the server is asked for, as it is asked: a list of mails, with `header` where no more is wanted. */
function askedOf(inbox: TestInbox): string[] {
  const asked: string[] = [];
  changeSession(inbox, ({ fetch, list, stillListed }) => ({
    fetch: async function* (mails, how) {
      const numbers = mails.map(({ source }) => Number(source.item));
      asked.push([...numbers, ...(how.headersOnly ? ['header'] : [])].join(' '));
      yield* fetch(mails, how);
    },
    list: async function* (...args) {
      asked.push('list');
      yield* list(...args);
    },
    stillListed: async (...args) => {
      asked.push('still listed');
      return await stillListed(...args);
    },
  }));
  return asked;
}

/** What the server answers for one of the mails. */
function answer(inbox: TestInbox, answers: Readonly<Record<number, (mail: FakeMail) => MailContent | undefined>>) {
  inbox.store.content = (mail) => answers[Number(mail.item)]?.(mail);
}

const broken = (refusal?: 'unclear' | 'passing'): MailContent =>
  refusal ? { kind: 'broken', reason: 'refused', refusal } : { kind: 'broken', reason: 'notMail' };

const refused = new BrokenMail('refused').message;

/** Uses the contents of a page of these mails. `signal`: ends everything. */
async function withContents(
  inbox: TestInbox,
  mails: readonly ListedMail[],
  use: (contents: PageContents, inProgress: string) => Promise<void>,
  signal = forever,
): Promise<void> {
  const begun = async (round: RoundContext) => {
    const { inProgress } = pageKeys(round.context.runId, round.context.nextPage());
    await beginPage(round.context, inProgress, mails);
    await use(new PageContents(round, { inProgress, ambiguousRows: [], signal }), inProgress);
  };
  await withRound(inbox, begun, signal);
}

/** What becomes of a page of these mails. */
async function take(inbox: TestInbox, mails: readonly ListedMail[], limit = forever) {
  const came = { checkedIn: [] as string[], missing: [] as string[], unfinished: [] as unknown[] };
  await withContents(inbox, mails, async (contents) => {
    await contents.take(mails, limit);
    came.checkedIn.push(...contents.checkedIn.map(({ mail }) => mail.source.item).toSorted());
    came.missing.push(...contents.missing.map(({ source }) => source.item));
    came.unfinished.push(...contents.unfinished.map(({ mail, ...one }) => ({ n: Number(mail.source.item), ...one })));
  });
  return came;
}

/** Storage takes no mail until it is let go. `begun`: how many are being written. */
function holdUploads(inbox: TestInbox) {
  const free = Promise.withResolvers<void>();
  const held = { begun: 0, letGo: () => free.resolve() };
  inbox.assets.onRequest = async (_, path) => {
    if (!path.endsWith('/message.eml')) return;
    held.begun += 1;
    await free.promise;
  };
  return held;
}

/** A mail that breaks off, by its own fault as it seems, right after `before`. */
function breaksOff(before: () => void): MailContent {
  const parts = async function* () {
    yield Buffer.from('From: a@example.net\r\n');
    before();
    throw new BrokenMail('wentAway');
  };
  return { kind: 'stream', stream: Readable.from(parts()) };
}

/** What becomes of a page of these mails that is cut by `signal`. */
async function takeUntilCut(inbox: TestInbox, mails: readonly ListedMail[], signal: AbortSignal) {
  const came = { error: undefined as unknown, unfinished: undefined as unknown };
  const use = async (contents: PageContents) => {
    came.error = await contents.take(mails, forever).catch((error: unknown) => error);
    came.unfinished = contents.unfinished;
  };
  // The session that they come by ends too.
  await withContents(inbox, mails, use, signal).catch(() => undefined);
  return came;
}

describe('a mail larger than the account takes', () => {
  const size = fakeMail(1).bytes.length;

  it('by its listing is asked for by its header alone, behind the others', async () => {
    const inbox = filled([1, 2, 3, 4], { maxMessageSize: 5_000 });
    const asked = askedOf(inbox);
    const mails = [
      listed(inbox, 1, { size: 5_001 }),
      listed(inbox, 2, { size: 5_000 }),
      listed(inbox, 3),
      listed(inbox, 4, { size: 9_999 }),
    ];
    expect(await take(inbox, mails)).toMatchObject({ checkedIn: [1, 2, 3, 4].map(itemOf), unfinished: [] });
    expect(asked).toEqual(['2 3', '1 4 header']);
  });

  it('though its listing does not say so is asked for by its header, and fails nobody', async () => {
    const inbox = filled([1, 2], { maxMessageSize: size });
    answer(inbox, { 1: ({ bytes }) => ({ kind: 'bytes', bytes: Buffer.concat([bytes, Buffer.from('more')]) }) });
    const asked = askedOf(inbox);
    expect(await take(inbox, [listed(inbox, 1), listed(inbox, 2)])).toMatchObject({
      checkedIn: [1, 2].map(itemOf),
      unfinished: [],
    });
    expect(asked).toEqual(['1 2', '1 header']);
  });

  it('keeps its original, whatever the rule is', async () => {
    const inbox = filled([1, 2], { maxMessageSize: size, delete: 'immediately', deleteMode: 'permanent' });
    inbox.store.mails = [fakeMail(1), { ...fakeMail(2), bytes: Buffer.concat([fakeMail(2).bytes, Buffer.from('x')]) }];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 2 });
    expect(inbox.store.disposed).toEqual([`delete ${itemOf(1)}`]);
  });

  it('is known by Message-ID, time and size, however its header comes', async () => {
    const inbox = filled([1], { maxMessageSize: 50 });
    await importOnce(inbox);
    inbox.store.scopeName = newScope;
    const { bytes, ...mail } = fakeMail(1);
    inbox.store.mails = [{ ...mail, bytes: Buffer.from(bytes.toString().replace('Subject: M', 'Subject: m')) }];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 1 });
  });
});

describe('the server', () => {
  it('is asked for one page once, and for nothing that it need not say', async () => {
    const inbox = filled([1, 2]);
    const asked = askedOf(inbox);
    await take(inbox, [listed(inbox, 1), listed(inbox, 2)]);
    expect(asked).toEqual(['1 2']);
  });

  it('is not asked when the time is over, and what it was not asked for is set aside', async () => {
    const inbox = filled([1, 2], { maxMessageSize: 5_000 });
    const asked = askedOf(inbox);
    const setAside = [
      { n: 1, kind: 'setAside' },
      { n: 2, kind: 'setAside' },
    ];
    const mails = [listed(inbox, 1), listed(inbox, 2, { size: 6_000 })];
    expect(await take(inbox, mails, AbortSignal.abort())).toMatchObject({ unfinished: setAside });
    expect(asked).toEqual([]);
  });

  it('is free when it has given all of it, headers of large mails too, though storage has not taken it', async () => {
    const inbox = filled([1, 2], { maxMessageSize: 5_000 });
    const told: string[] = [];
    const steps = ['ask', 'give', 'ask header', 'give header'].map((name) => ({
      name,
      ...Promise.withResolvers<void>(),
    }));
    const step = async (name: string) => {
      told.push(name);
      await steps.find((one) => one.name === name)?.promise;
    };
    changeSession(inbox, ({ fetch }) => ({
      fetch: async function* (mails, { asked, ...how }: FetchOptions) {
        const which = how.headersOnly ? ' header' : '';
        await step(`ask${which}`);
        asked?.();
        await step(`give${which}`);
        yield* fetch(mails, how);
      },
    }));
    const held = holdUploads(inbox);
    const mails = [listed(inbox, 1), listed(inbox, 2, { size: 6_000 })];
    await withContents(inbox, mails, async (contents) => {
      const work = contents.take(mails, forever).then(() => told.push('written'));
      void contents.asked.then(() => told.push('all asked for'));
      void contents.handedOut.then(() => told.push('all handed out'));
      for (const { resolve } of steps.slice(0, 2)) {
        await turns();
        resolve();
      }
      await expect.poll(() => held.begun).toBe(1);
      await turns();
      expect(told).toEqual(['ask', 'give']);
      held.letGo();
      await expect.poll(() => told).toContain('ask header');
      const again = holdUploads(inbox);
      steps[2]?.resolve();
      await contents.asked;
      await turns();
      expect(told).not.toContain('all handed out');
      steps[3]?.resolve();
      await contents.handedOut;
      await turns();
      expect(told.at(-1)).toBe('all handed out');
      again.letGo();
      await work;
      expect(told.at(-1)).toBe('written');
    });
  });

  it('is free for others where its answer fails', async () => {
    const inbox = filled([1]);
    inbox.store.content = () => {
      throw new Error('the line broke');
    };
    const told: string[] = [];
    changeSession(inbox, ({ fetch }) => ({ fetch: (mails, { asked: _, ...how }) => fetch(mails, how) }));
    const mails = [listed(inbox, 1)];
    await withContents(inbox, mails, async (contents) => {
      void contents.asked.then(() => told.push('asked'));
      void contents.handedOut.then(() => told.push('handed out'));
      await expect(contents.take(mails, forever)).rejects.toThrow('the line broke');
      await turns();
    });
    expect(told).toEqual(['asked', 'handed out']);
  });

  it('gives the next mail while small ones are written', async () => {
    const inbox = filled([1, 2, 3]);
    const held = holdUploads(inbox);
    const mails = [1, 2, 3].map((n) => listed(inbox, n));
    const came = take(inbox, mails);
    await expect.poll(() => held.begun).toBe(3);
    held.letGo();
    expect((await came).checkedIn).toHaveLength(3);
  });

  it('is not asked for the next mail before a stream is read to its end', async () => {
    const inbox = filled([1, 2, 3]);
    const told: string[] = [];
    inbox.store.content = ({ item, bytes }) => {
      told.push(`asked ${Number(item)}`);
      const stream = Readable.from([bytes.subarray(0, 20), bytes.subarray(20)]);
      stream.once('end', () => told.push(`end ${Number(item)}`));
      return { kind: 'stream', stream };
    };
    await take(
      inbox,
      [1, 2, 3].map((n) => listed(inbox, n)),
    );
    expect(told).toEqual([1, 2, 3].flatMap((n) => [`asked ${n}`, `end ${n}`]));
  });

  it('does not fill the memory: large mails that it gives as a whole are checked in one after the other', async () => {
    const inbox = filled([1, 2]);
    inbox.store.content = () => ({ kind: 'bytes', bytes: Buffer.alloc(7 << 20, 'x') });
    const free = Promise.withResolvers<void>();
    const limit = new AbortController();
    let begun = 0;
    const assets = async () => {
      begun += 1;
      await free.promise;
      return inbox.assets.client;
    };
    Object.assign(inbox.context, { assets });
    const came = take(inbox, [listed(inbox, 1), listed(inbox, 2)], limit.signal);
    await expect.poll(() => begun).toBe(1);
    await turns();
    expect(begun).toBe(1);
    limit.abort();
    free.resolve();
    expect((await came).unfinished).toHaveLength(2);
  });
});

describe('a mail', () => {
  it('that is none fails, and others with it do not', async () => {
    const inbox = filled([1, 2, 3]);
    answer(inbox, { 1: () => broken(), 2: () => ({ kind: 'bytes', bytes: Buffer.from('\r\n') }) });
    const { checkedIn, unfinished } = await take(
      inbox,
      [1, 2, 3].map((n) => listed(inbox, n)),
    );
    expect(checkedIn).toEqual([itemOf(3)]);
    expect(unfinished).toEqual([
      { n: 1, kind: 'failed', reason: new BrokenMail('notMail').message },
      { n: 2, kind: 'failed', reason: expect.any(String) },
    ]);
  });

  it('whose octets are in doubt says how many came', async () => {
    const inbox = filled([1]);
    const { bytes } = fakeMail(1);
    answer(inbox, { 1: () => ({ kind: 'bytes', bytes, doubt: () => 'cutShort' }) });
    expect((await take(inbox, [listed(inbox, 1)])).unfinished).toEqual([
      {
        n: 1,
        kind: 'failed',
        reason: expect.stringContaining(new BrokenMail('cutShort').message),
        bytes: bytes.length,
      },
    ]);
  });

  it('of which as many octets come again is imported, and its original stays', async () => {
    const inbox = filled([1, 2], { delete: 'immediately', deleteMode: 'permanent' });
    answer(inbox, { 1: ({ bytes }) => ({ kind: 'bytes', bytes, doubt: () => 'cutShort' }) });
    expect(await importOnce(inbox)).toMatchObject({ imported: 1, pending: 1 });
    inbox.now += 10 * 60_000;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1 });
    expect(inbox.store.disposed).toEqual([`delete ${itemOf(2)}`]);
  });

  it('that breaks off because everything ends is not blamed', async () => {
    const inbox = filled([1]);
    const cut = new AbortController();
    answer(inbox, { 1: () => breaksOff(() => cut.abort(new Error('the run is over'))) });
    expect(await takeUntilCut(inbox, [listed(inbox, 1)], cut.signal)).toEqual({
      error: new BrokenMail('wentAway'),
      unfinished: [],
    });
  });

  it('that breaks off because its time is over is set aside', async () => {
    const inbox = filled([1]);
    const limit = new AbortController();
    answer(inbox, { 1: () => breaksOff(() => limit.abort()) });
    expect((await take(inbox, [listed(inbox, 1)], limit.signal)).unfinished).toEqual([{ n: 1, kind: 'setAside' }]);
  });

  it('that storage does not take is not blamed', async () => {
    const inbox = filled([1]);
    inbox.assets.onRequest = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    const mails = [listed(inbox, 1)];
    await withContents(inbox, mails, async (contents) => {
      await expect(contents.take(mails, forever)).rejects.toThrow('storage is away');
      expect(contents.unfinished).toEqual([]);
    });
  });

  it('that another run has taken over is left to it', async () => {
    const inbox = filled([1]);
    const mails = [listed(inbox, 1)];
    await take(inbox, mails);
    await withContents(inbox, mails, async (contents, inProgress) => {
      await inbox.rows.write(inbox.name, [{ kind: 'delete', key: inProgress }]);
      for (const name of inbox.assets.names()) inbox.assets.put(name, 'of the other run');
      await expect(contents.take(mails, forever)).rejects.toBeInstanceOf(Superseded);
      expect(contents.unfinished).toEqual([]);
    });
    expect(new Set(inbox.assets.names().map((name) => inbox.assets.text(name)))).toEqual(new Set(['of the other run']));
  });

  it('is not left under way where the answer of the server fails', async () => {
    const inbox = filled([1, 2]);
    const held = holdUploads(inbox);
    answer(inbox, {
      2: () => {
        throw new Error('the line broke');
      },
    });
    const mails = [listed(inbox, 1), listed(inbox, 2)];
    await withContents(inbox, mails, async (contents) => {
      let ended = false;
      const work = contents.take(mails, forever).finally(() => {
        ended = true;
      });
      work.catch(() => undefined);
      await expect.poll(() => held.begun).toBe(1);
      await turns();
      expect(ended).toBe(false);
      held.letGo();
      await expect(work).rejects.toThrow('the line broke');
      expect(contents.checkedIn).toHaveLength(1);
    });
  });

  it('of which nothing came when everything ended is not set aside', async () => {
    const inbox = filled([1, 2]);
    const cut = new AbortController();
    changeSession(inbox, ({ fetch }) => ({
      fetch: async function* (mails, how) {
        yield* fetch(mails.slice(2), how);
        cut.abort(new Error('the run is over'));
      },
    }));
    expect(await takeUntilCut(inbox, [listed(inbox, 1), listed(inbox, 2)], cut.signal)).toEqual({
      error: new Error('the run is over'),
      unfinished: [],
    });
  });
});

describe('a mail that the server does not give', () => {
  const unclear = { n: 1, kind: 'refused', reason: refused, passing: false };

  it.each([
    ['gives another mail after it', [1, 2], () => undefined],
    ['gives another mail before it', [2, 1], () => undefined],
    ['gives something after it that is no mail', [1, 2], () => broken()],
    ['gives something before it that is no mail', [2, 1], () => broken()],
  ])('is refused where it %s, and nothing else is asked for', async (_, order, given) => {
    const inbox = filled([1, 2, 3]);
    const asked = askedOf(inbox);
    answer(inbox, { 1: () => broken('unclear'), 2: given });
    const mails = order.map((n) => listed(inbox, n));
    expect((await take(inbox, mails)).unfinished).toContainEqual(unclear);
    expect(asked).toEqual([order.join(' ')]);
  });

  it('by its own words for now is refused for now', async () => {
    const inbox = filled([1, 2]);
    answer(inbox, { 1: () => broken('passing') });
    expect((await take(inbox, [listed(inbox, 1), listed(inbox, 2)])).unfinished).toEqual([
      { ...unclear, passing: true },
    ]);
  });

  it('and lists is refused for now; one that it does not list is gone', async () => {
    const inbox = filled([1, 3]);
    answer(inbox, { 1: () => ({ kind: 'gone' }) });
    expect(await take(inbox, [listed(inbox, 1), listed(inbox, 2), listed(inbox, 3)])).toEqual({
      checkedIn: [itemOf(3)],
      missing: [itemOf(2)],
      unfinished: [{ ...unclear, passing: true, reason: expect.any(String) }],
    });
  });

  it('alone is refused where another mail of the folder is given', async () => {
    const inbox = filled([1, 2]);
    answer(inbox, { 1: () => broken('unclear') });
    expect((await take(inbox, [listed(inbox, 1)])).unfinished).toEqual([unclear]);
  });

  it('like all others is not refused: it is trouble of the account', async () => {
    const inbox = filled([1, 2]);
    inbox.store.content = () => broken('unclear');
    const mails = [listed(inbox, 1)];
    await withContents(inbox, mails, async (contents) => {
      await expect(contents.take(mails, forever)).rejects.toMatchObject({ kind: 'connection', code: 'NO_CONTENT' });
    });
  });
});

describe('a known mail under a new id', () => {
  const asStream = ({ bytes }: FakeMail): MailContent => ({ kind: 'stream', stream: Readable.from([bytes]) });

  /** An inbox that knows a mail, whose server has given it a new id. */
  async function known(rule: Readonly<Record<string, unknown>> = {}) {
    const inbox = filled([1], rule);
    expect(await importOnce(inbox)).toMatchObject({ imported: 1 });
    inbox.store.scopeName = newScope;
    return inbox;
  }

  it.each([
    ['bytes', () => undefined],
    ['a stream', asStream],
  ])('that comes as %s is not written again', async (_, content) => {
    const inbox = await known();
    inbox.store.content = content;
    const written = inbox.assets.names();
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 1, pending: 0 });
    expect(inbox.assets.names()).toEqual(written);
    expect(await inbox.rowsOf(prefixes.ledger)).toHaveLength(1);
  });

  it('is not what comes as a stream of other bytes: that is imported by the same run, whole', async () => {
    const inbox = await known();
    const { bytes, ...mail } = fakeMail(1);
    const other = Buffer.from(bytes.toString().replace('Text', 'Tent'));
    inbox.store.mails = [{ ...mail, bytes: other }];
    inbox.store.content = asStream;
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 0, pending: 0 });
    expect(inbox.assets.names().map((name) => inbox.assets.text(name))).toContain(other.toString());
    expect(await inbox.rowsOf(prefixes.pending)).toEqual([]);
  });

  const a = 'a'.repeat(64);
  const b = 'b'.repeat(64);
  const assets = async (inbox: TestInbox) =>
    new Map((await inbox.rowsOf(prefixes.ledger)).map(({ columns }) => [columns.item, columns.asset]));

  /** An inbox on a server whose ids do not last. */
  function changing(rule: Readonly<Record<string, unknown>> = {}) {
    const inbox = new TestInbox(rule);
    inbox.store.abilities = { markRead: true, stableBytes: true, lastingIds: false };
    changeSession(inbox, ({ changes }) => ({ changes: (folder, _, how) => changes(folder, undefined, how) }));
    return inbox;
  }

  it('that was one of two large ones with one id is known by its header', async () => {
    const inbox = changing({ maxMessageSize: 50 });
    inbox.store.mails = [
      { ...fakeMail(1), item: `same ${a}` },
      { ...fakeMail(2), item: `same ${b}` },
    ];
    await importOnce(inbox);
    const before = await assets(inbox);
    inbox.store.mails = [{ ...fakeMail(2), item: 'same' }];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 1 });
    const after = await assets(inbox);
    expect([after.get('same'), after.get(`same ${a}`)]).toEqual([before.get(`same ${b}`), before.get(`same ${a}`)]);
  });

  it('is not what has its id and other bytes: that is imported as it comes', async () => {
    const inbox = changing();
    const asked = askedOf(inbox);
    inbox.store.mails = [{ ...fakeMail(1), item: `7 ${a}` }];
    await importOnce(inbox);
    asked.splice(0);
    inbox.store.mails = [{ ...fakeMail(2), item: '7' }];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 0, pending: 0 });
    expect(asked).toEqual(['7']);
  });

  it('whose bytes its server makes anew is known without reading them', async () => {
    const inbox = new TestInbox();
    inbox.store.abilities = { markRead: true, stableBytes: false, lastingIds: true };
    inbox.store.mails = [fakeMail(1)];
    await importOnce(inbox);
    inbox.store.scopeName = newScope;
    const stream = Readable.from([Buffer.from('other bytes')]);
    inbox.store.content = () => ({ kind: 'stream', stream });
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 1 });
    expect(stream.readableDidRead).toBe(false);
  });

  it('is not a copy of it under another id', async () => {
    const inbox = changing();
    inbox.store.mails = [
      { ...fakeMail(1), item: `same ${a}` },
      { ...fakeMail(2), item: `same ${b}` },
    ];
    await importOnce(inbox);
    const before = await assets(inbox);
    // The copy comes first.
    inbox.store.mails = [
      { ...fakeMail(2), item: 'copy' },
      { ...fakeMail(2), item: 'same' },
    ];
    expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 1, skipped: 1 });
    expect((await assets(inbox)).get('same')).toBe(before.get(`same ${b}`));
  });
});
