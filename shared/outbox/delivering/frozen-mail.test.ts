import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { MemoryOutbox, mailText } from '../../../test/support/memory-outbox.ts';
import type { FrozenMail } from '../../adapters/transport.ts';
import type { MessageRecord } from '../record.ts';
import { frozenMail, readAhead } from './frozen-mail.ts';

const { signal } = new AbortController();

async function mailOf(fields: Partial<MessageRecord>, to = ['anna@example.org']) {
  const outbox = new MemoryOutbox();
  return frozenMail(outbox.context, await outbox.record(await outbox.accept(fields)), to);
}

describe('a mail as its transport gets it', () => {
  it('has the envelope for those it goes to now', async () => {
    const plain = await mailOf({ bcc: ['bcc@example.org'] });
    expect(plain).toMatchObject({
      envelope: { from: 'corpus@example.com', to: ['anna@example.org'] },
      bcc: ['bcc@example.org'],
    });
    expect(plain.envelope).not.toHaveProperty('dsn');
    const dsn = { notify: ['failure' as const], envid: 'x' };
    expect((await mailOf({ envelope: { from: 'a@b', dsn } })).envelope).toEqual({
      from: 'a@b',
      to: ['anna@example.org'],
      dsn,
    });
  });

  it('has the instant of its Date, or of its acceptance', async () => {
    const createdAt = '2026-05-01T00:00:00.000Z';
    expect((await mailOf({ createdAt })).date).toBe(Date.parse(createdAt));
    expect((await mailOf({ createdAt, date: '2026-04-01T00:00:00.000Z' })).date).toBe(Date.UTC(2026, 3, 1));
  });

  it.each([
    ['corpus@example.com', ['anna@example.org'], false],
    ['grüße@example.com', ['anna@example.org'], true],
    ['corpus@example.com', ['anna@example.org', 'jörg@example.org'], true],
  ])('from %s to %j of which one is tried: SMTPUTF8 %s', async (from, addresses, smtpUtf8) => {
    const recipients = addresses.map((address) => ({ address, status: 'pending' as const }));
    expect((await mailOf({ envelope: { from }, recipients })).smtpUtf8).toBe(smtpUtf8);
  });

  it('is read from storage', async () => {
    const stream = await (await mailOf({})).open(signal);
    expect((await stream.toArray()).join('')).toBe(mailText);
  });
});

describe('reading ahead', () => {
  /** A mail that counts how often it is opened. */
  async function counted(size: number, open = async () => Readable.from(['x'])) {
    const calls = { opened: 0 };
    const mail: FrozenMail = {
      ...(await mailOf({ size })),
      open: async () => {
        calls.opened += 1;
        return await open();
      },
    };
    return { mail, calls };
  }

  it('opens a small mail at once, and for each further attempt again', async () => {
    const { mail, calls } = await counted(256 << 10);
    const ahead = readAhead(mail, signal);
    expect(calls.opened).toBe(1);
    const first = await ahead.open(signal);
    expect(calls.opened).toBe(1);
    expect(await ahead.open(signal)).not.toBe(first);
    expect(calls.opened).toBe(2);
    await ahead.open(signal);
    expect(calls.opened).toBe(3);
  });

  it('leaves a larger one until it is asked for', async () => {
    const { mail, calls } = await counted((256 << 10) + 1);
    expect(readAhead(mail, signal)).toBe(mail);
    expect(calls.opened).toBe(0);
  });

  it('fails for whoever opens the mail, and for nobody else', async () => {
    const { mail } = await counted(1, () => Promise.reject(new Error('storage is away')));
    readAhead(mail, signal);
    // An unhandled rejection would fail this run.
    await new Promise(setImmediate);
    await expect(readAhead(mail, signal).open(signal)).rejects.toThrow('storage is away');
  });
});
