import { describe, expect, it } from 'vitest';
import { type Asset, assetSchema } from './asset.ts';
import { descriptionOf, maxSummaryBytes, readDescription, readSummary, summaryOf } from './summary.ts';

const small: Asset = {
  id: 'corpus.x',
  account: 'corpus',
  folder: 'INBOX',
  sourceId: 'imap:1',
  messageId: '<a@b>',
  subject: 'Über uns',
  from: [{ name: 'A', address: 'a@example.org' }],
  to: [{ name: '', address: 'b@example.org' }],
  cc: [],
  replyTo: [],
  date: null,
  receivedAt: null,
  importedAt: '2026-01-01T00:00:00.000Z',
  size: 1,
  sha256: 'x',
  inReplyTo: null,
  references: [],
  text: 'the text\n',
  html: null,
  attachments: [],
  bounce: null,
  flags: {
    autoSubmitted: false,
    bounce: false,
    list: false,
    calendar: false,
    encrypted: false,
    signed: false,
    oversize: false,
  },
  defects: [],
  authenticationResults: [],
};

const many = (count: number, length: number): Asset => ({
  ...small,
  subject: '😀'.repeat(length),
  to: Array.from({ length: count }, () => ({ name: '\u0001'.repeat(length), address: `${'ü'.repeat(length)}@x` })),
  authenticationResults: Array.from({ length: count }, () => ({
    authservId: '\n'.repeat(length),
    results: Array.from({ length: 2 }, () => ({
      method: '\n'.repeat(length),
      result: 'pass',
      reason: null,
      properties: [],
    })),
    field: 'x'.repeat(length),
  })),
  attachments: Array.from({ length: count }, (_, n) => ({
    n: n + 1,
    filename: 'x'.repeat(length),
    contentType: 'text/plain',
    size: 1,
    sha256: 's'.repeat(64),
    contentId: null,
    inline: false,
    path: `corpus/x/attachments/${n}-${'x'.repeat(100)}`,
  })),
});

describe('the summary in a description', () => {
  it('is at the front of a description that is one JSON object', () => {
    const bytes = descriptionOf(small);
    expect(assetSchema.parse(JSON.parse(bytes.toString()))).toEqual(small);
    const { text: _, html: __, ...rest } = small;
    expect(readSummary(bytes)).toEqual({ ...rest, attachmentCount: 0 });
  });

  it.each([
    [999, 4000],
    [100_000, 1],
    [1, 1_000_000],
    [21, 1],
    [1, 501],
  ])('is bounded, with %i of each and names of %i characters', (count, length) => {
    const bytes = descriptionOf(many(count, length));
    const summary = readSummary(bytes.subarray(0, maxSummaryBytes));
    expect(summary?.attachmentCount).toBe(count);
    expect(summary?.subject?.isWellFormed()).toBe(true);
    expect(summary?.shortened?.length).toBeGreaterThan(0);
    expect(assetSchema.parse(JSON.parse(bytes.toString())).attachments).toHaveLength(count);
  });

  it('is whole where nothing is long', () => {
    const bytes = descriptionOf(many(10, 50));
    const summary = readSummary(bytes.subarray(0, maxSummaryBytes));
    expect(summary).toMatchObject({ attachmentCount: 10 });
    expect(summary?.shortened).toBeUndefined();
    expect(summary?.attachments).toHaveLength(10);
  });

  it('and the description, of a version that kept fields as they came, have the topmost as data', () => {
    const fields = ['mx.example.com; dkim=pass header.d=example.org action=none', 'evil.example; dmarc=pass'];
    const before = JSON.stringify(small).replace(
      '"authenticationResults":[]',
      `"authenticationResults":${JSON.stringify(fields)}`,
    );
    const dkim = {
      method: 'dkim',
      result: 'pass',
      reason: null,
      properties: [
        { ptype: 'header', property: 'd', value: 'example.org' },
        { ptype: null, property: 'action', value: 'none' },
      ],
    };
    const expected = [{ authservId: 'mx.example.com', results: [dkim], field: fields[0] }];
    expect(readDescription(Buffer.from(before)).authenticationResults).toEqual(expected);
    expect(readSummary(Buffer.from(`{"summary":${before}\n,${before.slice(1)}`))?.authenticationResults).toEqual(
      expected,
    );
  });

  it('is made where there is none', () => {
    expect(readSummary(Buffer.from(JSON.stringify(small)))).toBeUndefined();
    expect(readSummary(Buffer.alloc(0))).toBeUndefined();
    expect(summaryOf(small).attachmentCount).toBe(0);
  });
});
