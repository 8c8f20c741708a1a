import { describe, expect, it } from 'vitest';
import { parseMailbox } from '../accounts/address.ts';
import { metadataSchema } from './accepting/metadata.ts';
import { type MessageRecord, recordColumns, recordOf } from './record.ts';

/** Bytes of an entity (Microsoft: "Understanding the Table service data model"); it may have 1 MiB. */
function entityBytes(key: string, columns: Readonly<Record<string, unknown>>): number {
  const sizes = Object.entries(columns).map(([name, value]) => {
    if (value === undefined) return 0;
    return 8 + 2 * name.length + (typeof value === 'string' ? 4 + 2 * value.length : 8);
  });
  return sizes.reduce((sum, size) => sum + size, 4 + 2 * key.length);
}

/** As long as an address may be, in octets: 254, of which 64 before the @. */
function longestAddress(n: number): string {
  const local = `${n}`.padEnd(4, 'x') + 'é'.repeat(30);
  return parseMailbox(`${local}@${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(59)}.example`).address;
}

const reply = (letter: string) => letter.repeat(300);

/** 500 blind recipients, as much as can be of everything. */
function record(letter: string): MessageRecord {
  const addresses = Array.from({ length: 500 }, (_, n) => longestAddress(n));
  const metadata = metadataSchema.parse(
    Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`${n}`.padEnd(64, 'n'), '語'.repeat(500)])),
  );
  return {
    account: 'a'.repeat(32),
    localId: 'm'.repeat(23),
    status: 'sending',
    messageId: `<${'i'.repeat(900)}@example.com>`,
    createdAt: '2026-01-01T00:00:00.000Z',
    envelope: { from: longestAddress(0) },
    headerFrom: longestAddress(0),
    bcc: addresses,
    size: 1,
    recipients: addresses.map((address) => ({ address, status: 'uncertain', code: '550', reply: reply(letter) })),
    attempts: Array.from({ length: 60 }, () => ({
      at: '2026-01-01T00:00:00.000Z',
      outcome: 'partiallySent' as const,
      code: '550',
      reply: reply(letter),
    })),
    bounces: Array.from({ length: 500 }, (_, n) => ({
      asset: `${'a'.repeat(32)}.${`${n}`.padEnd(32, 'f')}`,
      recipients: 1,
    })),
    metadata,
    leaseOwner: 'o'.repeat(40),
    remembered: 'r'.repeat(1_000),
  };
}

describe('the columns of a record', () => {
  it.each([
    ['ASCII', 'a'],
    ['another script', 'ж'],
    ['pairs of units', '🦊'],
  ])('fit a row, with all there can be in it and replies in %s', (_, letter) => {
    const whole = { ...record(letter) };
    const columns = recordColumns(whole);
    expect(entityBytes(`${whole.account}m:${whole.localId}`, columns)).toBeLessThan(1024 * 1024 - 16 * 1024);
    const read = recordOf(whole.account, { key: `m:${whole.localId}`, etag: '', columns: withoutUndefined(columns) });
    const shortened = (said: { readonly reply?: string | undefined }) => {
      expect(reply(letter).startsWith(said.reply ?? '')).toBe(true);
      return { ...said, reply: '' };
    };
    expect({ ...read, recipients: read.recipients.map(shortened), attempts: read.attempts.map(shortened) }).toEqual({
      ...whole,
      recipients: whole.recipients.map(shortened),
      attempts: whole.attempts.map(shortened),
    });
  });

  it('keep as much of each reply as there is room for, and no half of a character', () => {
    const said = `a${'🦊'.repeat(150)}`;
    const recipients = Array.from({ length: 500 }, (_, n) => ({
      address: `recipient-${n}@example.com`,
      status: 'rejected' as const,
      reply: said,
    }));
    const whole = { ...record('a'), bcc: [], bounces: [], attempts: [], recipients };
    const columns = withoutUndefined(recordColumns(whole));
    const read = recordOf(whole.account, { key: `m:${whole.localId}`, etag: '', columns });
    // Of 100 the last one would be the first half of a pair.
    expect(new Set(read.recipients.map(({ reply: kept = '' }) => kept))).toEqual(
      new Set([`${said.slice(0, 99)}\ufffd`]),
    );
  });

  it('have no reply for who got none, where the others are too long', () => {
    const answered = { address: 'anna@example.org', status: 'rejected', reply: reply('ж') } as const;
    const pending = { address: 'ben@example.org', status: 'pending' } as const;
    const attempt = { at: '2026-01-01T00:00:00.000Z', outcome: 'partiallySent' } as const;
    const recipients = [pending, ...Array.from({ length: 499 }, () => answered)];
    const whole = { ...record('ж'), recipients, attempts: [attempt] };
    const columns = withoutUndefined(recordColumns(whole));
    const read = recordOf(whole.account, { key: `m:${whole.localId}`, etag: '', columns });
    expect([read.recipients[0], read.attempts]).toEqual([pending, [attempt]]);
    expect(read.recipients[1]?.reply?.length).toBeLessThan(answered.reply.length);
  });

  it('keep every reply of an ordinary mail to 500', () => {
    const whole = {
      ...record('a'),
      bcc: [],
      bounces: [],
      recipients: Array.from({ length: 500 }, (_, n) => ({
        address: `recipient-${n}@example.com`,
        status: 'accepted' as const,
        code: '250',
        reply: reply('a'),
      })),
    };
    const columns = withoutUndefined(recordColumns(whole));
    expect(recordOf(whole.account, { key: `m:${whole.localId}`, etag: '', columns })).toEqual(whole);
  });
});

function withoutUndefined(columns: ReturnType<typeof recordColumns>): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(columns).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
