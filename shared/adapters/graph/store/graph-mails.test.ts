import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultRule } from '../../../../local/graph/graph.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../../test/support/graph-fixture.ts';
import { contentBytes, mail, never } from '../../../../test/support/store-helpers.ts';
import type { MailContent } from '../../mail-content.ts';
import { type Disposal, type DisposalTarget, type ListedMail, StoreError, type StoreSession } from '../../store.ts';

let site: GraphSite;
let session: StoreSession;

beforeAll(async () => {
  site = await startGraphSite();
});
afterAll(() => site.stop());
beforeEach(async () => {
  for (const { immutableId } of mailbox().mails()) mailbox().delete(immutableId, 'permanent');
  site.graph.reset();
  session = await site.store().open({ signal: never });
});
afterEach(async () => {
  await session.close();
  site.graph.faults.clear();
  expect(site.graph.violations).toEqual([]);
});

const mailbox = () => site.graph.mailbox(testUser);
const identity = `graph:${testUser}`;
const fault = (rule: FaultRule) => site.graph.faults.add(rule);
const receivedAt = Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000;

function deliver(bytes: Buffer = mail('one')): ListedMail {
  const { immutableId } = mailbox().deliver(bytes, { receivedAt });
  return { source: { store: identity, scope: '', item: immutableId }, folder: 'inbox', receivedAt };
}

/** The content of a mail, read to its end. */
async function contentOf(one: ListedMail, headersOnly = false): Promise<MailContent> {
  for await (const { content } of session.fetch([one], { signal: never, headersOnly })) {
    return content.kind === 'stream' ? { kind: 'bytes', bytes: await contentBytes(content) } : content;
  }
  throw new Error('nothing fetched');
}

const allOctets = () =>
  Buffer.concat([
    Buffer.from('Subject: B\xe9b\xe9\r\nContent-Type: application/octet-stream\r\n\r\n', 'latin1'),
    Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)),
  ]);

async function storeFailure(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StoreError)) throw new Error('no StoreError', { cause: error });
  return error;
}

describe('fetch', () => {
  it('brings all 256 values of a byte, and 8-bit headers', async () => {
    expect((await contentBytes(await contentOf(deliver(allOctets())))).equals(allOctets())).toBe(true);
  });

  it('streams what is large, and lets the session work meanwhile and afterwards', async () => {
    const large = mail('large', `${'z'.repeat(98)}\r\n`.repeat(40_000));
    const mails = [deliver(large), deliver(large), deliver(large), deliver()];
    const streams: Buffer[] = [];
    for await (const { mail: which, content } of session.fetch(mails, { signal: never })) {
      const target = { source: which.source, folder: 'inbox' };
      await session.dispose([target, target], { action: 'markRead' }, { signal: never, verify: true });
      if (content.kind === 'stream') {
        // One of them is left unread.
        const left = streams.length === 1;
        if (left) content.stream.destroy();
        streams.push(left ? Buffer.from('left') : await contentBytes(content));
      }
    }
    expect(streams.map((bytes) => (bytes.equals(large) ? 'whole' : bytes.toString()))).toEqual([
      'whole',
      'left',
      'whole',
    ]);
    expect(site.graph.peakConcurrency).toBeLessThanOrEqual(3);
    expect((await contentOf(deliver())).kind).toBe('bytes');
  });

  it('lets everything go when its reader leaves early', async () => {
    const large = mail('large', `${'z'.repeat(98)}\r\n`.repeat(40_000));
    const mails = [deliver(large), deliver(large), deliver(large)];
    for (let time = 0; time < 3; time++) {
      for await (const { content } of session.fetch(mails, { signal: never })) {
        if (content.kind === 'stream') break;
      }
    }
    // All three places are free again.
    for (let index = 0; index < 4; index++) expect((await contentOf(deliver())).kind).toBe('bytes');
  });

  it('isolates a mail that Exchange cannot produce', async () => {
    const [bad, good] = [deliver(), deliver()];
    mailbox().corrupt(bad.source.item, { value: true });
    const contents = new Map<string, MailContent['kind']>();
    for await (const { mail: which, content } of session.fetch([bad, good], { signal: never })) {
      contents.set(which.source.item, content.kind);
    }
    expect(contents).toEqual(
      new Map([
        [bad.source.item, 'broken'],
        [good.source.item, 'bytes'],
      ]),
    );
  });

  it.each([
    [400, 'ErrorInvalidRequest'],
    [409, 'ErrorIrresolvableConflict'],
    [410, 'resyncRequired'],
    [502, 'BadGateway'],
  ])('says of a %i to one mail that it may be that mail’s trouble', async (status, code) => {
    const one = deliver();
    fault({ fault: { kind: 'refused', status, code }, route: '/$value' });
    expect(await contentOf(one)).toMatchObject({ kind: 'broken', reason: 'refused', refusal: 'unclear' });
    expect(await contentOf(deliver())).toMatchObject({ kind: 'bytes' });
  });

  it('holds a 504 against the mail where the mailbox answers otherwise, and else against the server', async () => {
    const one = deliver();
    fault({ fault: { kind: 'gatewayTimeout', done: false }, route: '/$value' });
    expect((await contentOf(one)).kind).toBe('broken');
    fault({ fault: { kind: 'gatewayTimeout', done: false }, times: 2 });
    expect((await storeFailure(contentOf(one))).kind).toBe('connection');
  });

  it('never takes half a mail for a whole one', async () => {
    const large = mail('large', `${'z'.repeat(98)}\r\n`.repeat(10_000));
    for (const bytes of [100, 500_000]) {
      fault({ fault: { kind: 'shortBody', bytes }, route: '/$value' });
      const error = await storeFailure(contentOf(deliver(large)).then(contentBytes));
      expect(error.kind).toBe('connection');
    }
  });

  it('reads on only to the end of the header where that is all that is wanted', async () => {
    const one = deliver(mail('headers', `${'z'.repeat(98)}\r\n`.repeat(40_000)));
    const bytes = await contentBytes(await contentOf(one, true));
    expect(bytes.toString('latin1')).toMatch(/^From: .*\r\n\r\n$/s);
    expect(bytes.length).toBeLessThan(1_000);
  });

  it('says gone of what is of another mailbox', async () => {
    const foreign = { source: { store: 'graph:someone@example.com', scope: '', item: 'x' }, folder: 'inbox' };
    site.graph.reset();
    expect((await contentOf(foreign)).kind).toBe('gone');
    expect(site.graph.requests).toEqual([]);
  });
});

describe('dispose', () => {
  const remove: Disposal = { action: 'delete', mode: 'permanent' };
  const discard: Disposal = { action: 'delete', mode: 'trash' };
  const target = ({ source, folder }: ListedMail, changes: Partial<DisposalTarget> = {}): DisposalTarget => ({
    source,
    folder,
    receivedAt,
    ...changes,
  });
  const dispose = async (one: DisposalTarget, disposal: Disposal, verify = true) =>
    (await session.dispose([one], disposal, { signal: never, verify }))[0];

  it.each([remove, discard])('never touches a mail that somebody has filed elsewhere: %j', async (disposal) => {
    for (const verify of [true, false]) {
      const one = deliver();
      mailbox().move(one.source.item, 'Filed');
      expect(await dispose(target(one), disposal, verify)).toBe('moved');
      expect(mailbox().mail(one.source.item)?.folder).toBe('Filed');
    }
  });

  it('knows a mail that is where it was to go already', async () => {
    const one = deliver();
    mailbox().move(one.source.item, 'deleteditems');
    expect(await dispose(target(one), discard)).toBe('done');
    expect(await dispose(target(one), remove)).toBe('moved');
    mailbox().createFolder('Done');
    mailbox().move(one.source.item, 'Done');
    expect(await dispose(target(one), { action: 'move', folder: 'Done' })).toBe('done');
  });

  it('knows a mail by its id, whatever its time of arrival is said to be', async () => {
    const one = deliver();
    expect(await dispose(target(one, { receivedAt: receivedAt + 60_000 }), remove)).toBe('done');
    expect(
      mailbox()
        .purged()
        .map(({ immutableId }) => immutableId),
    ).toContain(one.source.item);
  });

  it.each([remove, discard])('one mail that Graph refuses keeps no other from its disposal: %j', async (disposal) => {
    const targets = [deliver(), deliver(), deliver()].map((one) => target(one));
    const route = disposal === remove ? '/permanentDelete' : '/move';
    fault({ fault: { kind: 'refused', status: 400, code: 'ErrorInvalidOperation' }, route, times: 1 });
    const outcomes = await session.dispose(targets, disposal, { signal: never, verify: true });
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(2);
    expect(outcomes.filter((outcome) => typeof outcome === 'object')).toHaveLength(1);
  });

  it('does again what may not have been done, and is content with what was', async () => {
    for (const [disposal, route] of [
      [discard, '/move'],
      [remove, '/permanentDelete'],
    ] as const) {
      for (const done of [true, false]) {
        const one = deliver();
        const hit = fault({ fault: { kind: 'reset', done }, route });
        expect((await storeFailure(dispose(target(one), disposal))).kind).toBe('connection');
        expect(hit.hits).toBe(1);
        expect(['done', 'gone']).toContain(await dispose(target(one), disposal));
        expect(mailbox().mails('inbox')).toEqual([]);
      }
    }
  });

  it('purges nothing where there is no purging, and puts it into the trash', async () => {
    const elsewhere = await startGraphSite({ cloud: 'usgov' });
    try {
      const own = elsewhere.graph.mailbox(testUser);
      const { immutableId } = own.deliver(mail('one'), { receivedAt });
      const gov = await elsewhere.store({ cloud: 'usgov' }).open({ signal: never });
      const one = target({ source: { store: identity, scope: '', item: immutableId }, folder: 'inbox' });
      expect(await gov.dispose([one], remove, { signal: never, verify: true })).toEqual(['done']);
      await gov.close();
      expect(own.mails('deleteditems')).toHaveLength(1);
      expect(elsewhere.graph.violations).toEqual([]);
    } finally {
      await elsewhere.stop();
    }
  });

  it('says so when the folder to move to is missing, and touches nothing', async () => {
    const one = deliver();
    const error = await storeFailure(dispose(target(one), { action: 'move', folder: 'No such folder' }));
    expect(error.kind).toBe('folderMissing');
    expect(mailbox().mails('inbox')).toHaveLength(1);
  });

  it('distinguishes ids that differ in letter case alone', async () => {
    const one = deliver();
    const { item } = one.source;
    const swapped = item === item.toLowerCase() ? item.toUpperCase() : item.toLowerCase();
    expect(await dispose(target({ ...one, source: { ...one.source, item: swapped } }), remove)).toBe('gone');
    expect(mailbox().mails('inbox')).toHaveLength(1);
  });

  it('waits out a short Retry-After and hands a long one back', async () => {
    const one = deliver();
    fault({ fault: { kind: 'throttled', retryAfter: 1, as: 'date' }, route: '/move' });
    expect(await dispose(target(one), discard)).toBe('done');
    fault({ fault: { kind: 'throttled', retryAfter: 600 } });
    const error = await storeFailure(dispose(target(deliver()), discard));
    expect(error).toMatchObject({ kind: 'throttled', retryAfterMs: 600_000 });
  });

  it('survives a token that has just expired', async () => {
    fault({ fault: { kind: 'expiredToken' } });
    expect(await dispose(target(deliver()), remove)).toBe('done');
  });
});
