import { RestError } from '@azure/data-tables';
import { describe, expect, it } from 'vitest';
import { accountName, MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { RowConflict } from '../../platform/rows.ts';
import { deliver } from '../delivering/deliver.ts';
import { type MessageRecord, type Recipient, recordColumns } from '../record.ts';
import { findBounced } from './find-bounced.ts';
import { type Bounce, markBounced } from './mark-bounced.ts';
import type { BounceReport } from './report.ts';

const options = { signal: new AbortController().signal };
const asset = 'other.0123456789abcdef0123456789abcdef';

const recipient = (name: string, status: Recipient['status'], more: Partial<Recipient> = {}): Recipient => ({
  address: `${name}@example.org`,
  status,
  ...more,
});

const failed = (...names: string[]): BounceReport['failed'] =>
  names.map((name) => ({ address: `${name}@example.org`, status: '5.1.1', diagnostic: '550 5.1.1 no such user' }));

/** An outbox with a mail that was sent to these recipients. */
async function sentTo(...recipients: Recipient[]) {
  const outbox = new MemoryOutbox();
  const id = await outbox.accept({ status: 'sent', recipients });
  const bounce: Bounce = {
    messageId: '<m@example.com>',
    failed: failed('anna'),
    asset,
    importedAt: outbox.now + 5_000,
    messageRecord: id,
  };
  return { outbox, id, bounce };
}

const statuses = ({ recipients }: MessageRecord) => recipients.map(({ status }) => status);

describe('the mail that a bounce is about', () => {
  const report = { messageId: '<m@example.com>', failed: failed('anna') };

  it('is found by its Message-ID, in whichever account', async () => {
    const { outbox } = await sentTo(recipient('anna', 'accepted'));
    outbox.account({ name: 'second' });
    const id = await outbox.accept({ account: 'second', messageId: '<2@example.com>', status: 'sent' });
    expect(await findBounced(outbox.context, { ...report, messageId: '<2@example.com>' }, options)).toBe(id);
    const bare = { ...report, messageId: '2@example.com' };
    expect(await findBounced(outbox.context, bare, options)).toBe(id);
  });

  it.each([
    ['another Message-ID', { ...report, messageId: '<other@example.com>' }],
    ['no Message-ID', { ...report, messageId: null }],
    ['what is no Message-ID', { ...report, messageId: '<m @example.com>' }],
    ['nobody who failed', { ...report, failed: [] }],
    ['a recipient that the mail did not have', { ...report, failed: failed('eve') }],
  ])('is not found by %s', async (_, other) => {
    const { outbox } = await sentTo(recipient('anna', 'accepted'));
    expect(await findBounced(outbox.context, other, options)).toBeUndefined();
  });

  it('is the newest with the recipient, where several have the Message-ID', async () => {
    const { outbox } = await sentTo(recipient('anna', 'accepted'));
    outbox.now += 1_000;
    const second = await outbox.accept({ status: 'sent', recipients: [recipient('anna', 'accepted')] });
    outbox.now += 1_000;
    await outbox.accept({ status: 'sent', recipients: [recipient('bob', 'accepted')] });
    expect(await findBounced(outbox.context, report, options)).toBe(second);
  });

  it('is the newest of all accounts, not that of the first one', async () => {
    const { outbox } = await sentTo(recipient('anna', 'accepted'));
    outbox.account({ name: 'second' });
    outbox.now += 1_000;
    const newer = await outbox.accept({
      account: 'second',
      status: 'sent',
      recipients: [recipient('anna', 'accepted')],
    });
    expect(await findBounced(outbox.context, report, options)).toBe(newer);
  });

  it('may have other recipients, who got it', async () => {
    const { outbox, id } = await sentTo(recipient('bob', 'accepted'), recipient('anna', 'accepted'));
    expect(await findBounced(outbox.context, report, options)).toBe(id);
  });

  it('is found by the reply of a relay that gave it another Message-ID', async () => {
    const reply = '250 Ok 0102018f3a5b7c9d-6a0e1c2f-000000';
    const { outbox, id } = await sentTo(recipient('anna', 'accepted', { code: '250', reply }));
    const renamed = { ...report, messageId: '<0102018f3a5b7c9d-6a0e1c2f-000000@eu-west-1.amazonses.com>' };
    expect(await findBounced(outbox.context, renamed, options)).toBe(id);
    expect(await findBounced(outbox.context, { ...renamed, failed: failed('bob') }, options)).toBeUndefined();
    expect(await findBounced(outbox.context, { ...renamed, messageId: '<Ok@example.com>' }, options)).toBeUndefined();
    outbox.now += 15 * 86_400_000;
    expect(await findBounced(outbox.context, renamed, options)).toBeUndefined();
  });
});

describe('a bounce with a Message-ID that a relay gave', () => {
  const newId = '0102018f3a5b7c9d-6a0e1c2f-000000';
  const report = { messageId: `<${newId}@eu-west-1.amazonses.com>`, failed: failed('anna') };
  const taken = (name: string, id: string) => recipient(name, 'accepted', { code: '250', reply: `250 Ok ${id}` });

  it('is about the mail whose reply says it, not about newer ones to the same recipient', async () => {
    const { outbox, id } = await sentTo(taken('anna', newId));
    outbox.now += 1_000;
    await outbox.accept({ status: 'sent', recipients: [taken('anna', '0102018f3a5b7c9d-ffffffff-000000')] });
    outbox.now += 1_000;
    await outbox.accept({ status: 'sent', recipients: [recipient('anna', 'accepted')] });
    expect(await findBounced(outbox.context, report, options)).toBe(id);
  });

  it('is about no mail where only the reply for another recipient says it', async () => {
    const { outbox } = await sentTo(taken('anna', 'something-else'), taken('bob', newId));
    expect(await findBounced(outbox.context, report, options)).toBeUndefined();
  });

  it('is about a mail that has more recipients than came back', async () => {
    const { outbox, id } = await sentTo(taken('bob', 'something-else'), taken('anna', newId));
    expect(await findBounced(outbox.context, report, options)).toBe(id);
  });

  it('may name others first, who had no such mail', async () => {
    const { outbox, id } = await sentTo(taken('anna', newId));
    const others = { ...report, failed: failed('eve', 'anna') };
    expect(await findBounced(outbox.context, others, options)).toBe(id);
  });

  it.each([
    ['of 12 characters is looked for', 'abcdefghijkl', true],
    ['of 11 may stand in a reply by chance', 'abcdefghijk', false],
  ])('%s', async (_, short, isFound) => {
    const { outbox, id } = await sentTo(taken('anna', short));
    const found = await findBounced(outbox.context, { ...report, messageId: `<${short}@example.com>` }, options);
    expect(found).toBe(isFound ? id : undefined);
  });

  it('costs no more where it names very many', async () => {
    const { outbox } = await sentTo(recipient('anna', 'accepted'));
    const requestsFor = async (count: number) => {
      const before = outbox.rows.requests;
      const names = Array.from({ length: count }, (_, n) => `name${n}`);
      await findBounced(outbox.context, { ...report, failed: failed(...names) }, options);
      return outbox.rows.requests - before;
    };
    expect(await requestsFor(500)).toBe(await requestsFor(3));
  });
});

describe('a bounce', () => {
  it('sets the recipients that it names, with status and diagnostic, and no others', async () => {
    const { outbox, id, bounce } = await sentTo(
      recipient('Anna', 'accepted', { code: '250' }),
      recipient('bob', 'accepted'),
    );
    expect(await markBounced(outbox.context, bounce, options)).toBe(true);
    const record = await outbox.record(id);
    expect(record.recipients).toEqual([
      { address: 'Anna@example.org', status: 'bounced', code: '5.1.1', reply: '550 5.1.1 no such user' },
      { address: 'bob@example.org', status: 'accepted' },
    ]);
    expect(record.status).toBe('sent');
    expect(outbox.events).toEqual([
      {
        type: 'mailroom.message.bounced',
        account: accountName,
        subject: id,
        occasion: asset,
        time: bounce.importedAt,
        data: { status: 'sent', messageId: '<m@example.com>', assetId: asset, recipients: { bounced: 1 } },
      },
    ]);
  });

  it('of a mail in doubt says what became of it; what was refused or has not left stays as it is', async () => {
    const others = (['rejected', 'deferred', 'pending', 'bounced'] as const).map((each) => recipient(each, each));
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'uncertain'), ...others);
    const all = failed('anna', 'rejected', 'deferred', 'pending', 'bounced');
    await markBounced(outbox.context, { ...bounce, failed: all }, options);
    expect(statuses(await outbox.record(id))).toEqual(['bounced', 'rejected', 'deferred', 'pending', 'bounced']);
    expect(outbox.events).toMatchObject([{ data: { recipients: { bounced: 1 } } }]);
  });

  it('that names nobody of the mail, or comes when the record is gone, changes and publishes nothing', async () => {
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'accepted'));
    const before = await outbox.record(id);
    expect(await markBounced(outbox.context, { ...bounce, failed: failed('eve') }, options)).toBe(true);
    expect(await outbox.record(id)).toEqual(before);
    const gone = `${accountName}.00000000000000000000000`;
    expect(await markBounced(outbox.context, { ...bounce, messageRecord: gone }, options)).toBe(true);
    expect(outbox.events).toEqual([]);
  });

  it('that is passed on again publishes the same event and changes nothing', async () => {
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'accepted'), recipient('bob', 'accepted'));
    await markBounced(outbox.context, bounce, options);
    const record = await outbox.record(id);
    await markBounced(outbox.context, bounce, options);
    expect(await outbox.record(id)).toEqual(record);
    const [first, second, ...more] = outbox.events;
    expect(second).toEqual(first);
    expect(more).toEqual([]);
    // A second notice of the same recipient is no news; one of another recipient has an event of its own.
    await markBounced(outbox.context, { ...bounce, asset: `${asset}1` }, options);
    expect(outbox.events).toHaveLength(2);
    await markBounced(outbox.context, { ...bounce, asset: `${asset}2`, failed: failed('bob') }, options);
    expect(outbox.events.at(-1)).toMatchObject({ occasion: `${asset}2`, data: { recipients: { bounced: 1 } } });
  });

  it('of a process that stood still does not undo that the mail was sent again', async () => {
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'accepted'));
    const key = `m:${id.split('.')[1]}`;
    let passed = false;
    outbox.rows.onWrite = async (_, writes) => {
      if (passed || !writes.some((write) => write.key === key)) return;
      passed = true;
      // Another process has passed it on, and the mail was sent again.
      await markBounced(outbox.context, bounce, options);
      const record = await outbox.record(id);
      const again = { ...record, recipients: [recipient('anna', 'accepted')] };
      await outbox.rows.write(accountName, [{ kind: 'replace', key, columns: recordColumns(again) }]);
    };
    expect(await markBounced(outbox.context, bounce, options)).toBe(true);
    expect(statuses(await outbox.record(id))).toEqual(['accepted']);
    expect(new Set(outbox.events.map(({ occasion }) => occasion))).toEqual(new Set([asset]));
  });

  it('waits while its message is being delivered, and the delivery does not lose its claim', async () => {
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'accepted'), recipient('bob', 'deferred'));
    const key = `m:${id.split('.')[1]}`;
    await outbox.rows.write(accountName, [{ kind: 'merge', key, columns: { status: 'queued' } }]);
    const answers: boolean[] = [];
    outbox.transport.onSend = async ({ envelope: { to } }, { beforeCommit }) => {
      answers.push(await markBounced(outbox.context, bounce, options));
      await beforeCommit();
      return { recipients: to.map((address) => ({ address, outcome: 'accepted' })) };
    };
    expect(await deliver(outbox.context, id, options)).toBe('ended');
    expect(answers).toEqual([false]);
    expect(await markBounced(outbox.context, bounce, options)).toBe(true);
    expect(await outbox.record(id)).toMatchObject({
      status: 'sent',
      recipients: [{ status: 'bounced' }, { status: 'accepted' }],
    });
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.sent', 'mailroom.message.bounced']);
  });

  it('keeps a mail that waits for others waiting, and counts as reached when those end', async () => {
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'accepted'), recipient('bob', 'deferred'));
    const key = `m:${id.split('.')[1]}`;
    const nextAttemptAt = outbox.now + 60_000;
    await outbox.rows.write(accountName, [
      { kind: 'merge', key, columns: { status: 'queued', nextAttemptAt, waitMs: 60_000 } },
    ]);
    await markBounced(outbox.context, bounce, options);
    expect((await outbox.rows.get(accountName, key))?.columns).toMatchObject({ waitMs: 60_000, nextAttemptAt });
    outbox.now += 60_000;
    outbox.transport.onSend = async ({ envelope: { to } }) => ({
      recipients: to.map((address) => ({ address, outcome: 'rejected', code: '550' })),
      trouble: { scope: 'message', code: '550' },
    });
    await deliver(outbox.context, id, options);
    expect((await outbox.record(id)).status).toBe('partiallySent');
    // The event of the delivery does not report the bounce a second time.
    expect(outbox.events.map(({ type }) => type)).toEqual(['mailroom.message.bounced', 'mailroom.message.failed']);
  });

  it('leaves a diagnostic on one line of at most 300 characters', async () => {
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'accepted'));
    const diagnostic = `550 \u0007no\r\n${'x'.repeat(2_000)}`;
    const said = [{ address: 'ANNA@example.org', status: null, diagnostic }];
    await markBounced(outbox.context, { ...bounce, failed: said }, options);
    const [bounced] = (await outbox.record(id)).recipients;
    expect(bounced?.reply).toHaveLength(300);
    expect(bounced?.reply).toMatch(/^550 no x+$/);
    expect(bounced).not.toHaveProperty('code');
  });

  it('without a diagnostic leaves no reply, also not that of the server that had taken the mail', async () => {
    const { outbox, id, bounce } = await sentTo(recipient('anna', 'accepted', { code: '250', reply: '250 Ok' }));
    const said = [{ address: 'anna@example.org', status: '5.1.1', diagnostic: null }];
    await markBounced(outbox.context, { ...bounce, failed: said }, options);
    expect((await outbox.record(id)).recipients).toEqual([
      { address: 'anna@example.org', status: 'bounced', code: '5.1.1' },
    ]);
  });

  it('of very many recipients leaves a record that can be read, also where it gets shorter', async () => {
    const names = Array.from({ length: 200 }, (_, n) => `name${n}`);
    const reply = 'x'.repeat(300);
    const { outbox, id, bounce } = await sentTo(...names.map((name) => recipient(name, 'accepted', { reply })));
    const said = failed(...names).map((each) => ({ ...each, diagnostic: null }));
    await markBounced(outbox.context, { ...bounce, failed: said }, options);
    expect(new Set(statuses(await outbox.record(id)))).toEqual(new Set(['bounced']));
  });

  it('about what is no message is done with', async () => {
    const { outbox, bounce } = await sentTo(recipient('anna', 'accepted'));
    expect(await markBounced(outbox.context, { ...bounce, messageRecord: 'nothing' }, options)).toBe(true);
    expect(outbox.events).toEqual([]);
  });

  it('is to be done later where others write the record all the time', async () => {
    const { outbox, bounce, id } = await sentTo(recipient('anna', 'accepted'));
    let tries = 0;
    outbox.rows.onWrite = () => {
      tries += 1;
      throw tries > 100 ? new Error('it is tried without end') : new RowConflict('changed');
    };
    expect(await markBounced(outbox.context, bounce, options)).toBe(false);
    expect(statuses(await outbox.record(id))).toEqual(['accepted']);
    expect(outbox.events).toEqual([]);
  });

  it('that storage does not take is not published, and the next try does all of it', async () => {
    const { outbox, bounce, id } = await sentTo(recipient('anna', 'accepted'));
    outbox.rows.onWrite = () => {
      throw new RestError('storage is away', { statusCode: 503 });
    };
    await expect(markBounced(outbox.context, bounce, options)).rejects.toThrow('storage is away');
    expect(outbox.events).toEqual([]);
    outbox.rows.onWrite = () => undefined;
    expect(await markBounced(outbox.context, bounce, options)).toBe(true);
    expect(statuses(await outbox.record(id))).toEqual(['bounced']);
    expect(outbox.events).toHaveLength(1);
  });

  it('is kept in mind with the newest 500 of its message', async () => {
    const outbox = new MemoryOutbox();
    const bounces = Array.from({ length: 500 }, (_, n) => ({ asset: `other.${n}`, recipients: 1 }));
    const id = await outbox.accept({ status: 'sent', recipients: [recipient('anna', 'accepted')], bounces });
    const bounce = { messageId: null, failed: failed('anna'), asset, importedAt: outbox.now, messageRecord: id };
    await markBounced(outbox.context, bounce, options);
    expect((await outbox.record(id)).bounces).toEqual([...bounces.slice(1), { asset, recipients: 1 }]);
  });
});
