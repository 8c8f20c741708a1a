import { expect, test } from 'vitest';
import { assetSchema } from './asset.ts';

/** As asset.json was before bounces were read and lists were recognised. */
const old = {
  id: 'corpus.1',
  account: 'corpus',
  folder: 'INBOX',
  sourceId: 's',
  messageId: null,
  subject: null,
  from: [],
  to: [],
  cc: [],
  replyTo: [],
  date: null,
  receivedAt: null,
  importedAt: '2026-01-01T00:00:00.000Z',
  size: 1,
  sha256: 'x',
  inReplyTo: null,
  references: [],
  text: null,
  html: null,
  attachments: [],
  flags: { autoSubmitted: true, bounce: true, calendar: false, encrypted: false, signed: false, oversize: false },
  defects: [],
  authenticationResults: [],
};

test('an asset of before bounces were read can still be read', () => {
  expect(assetSchema.parse(old)).toEqual({ ...old, bounce: null, flags: { ...old.flags, list: false } });
});
