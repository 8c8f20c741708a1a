import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { frozenMail, outcomes, sendOptions } from '../../../../test/contract/transport.contract.ts';
import { type GraphSite, startGraphSite, testUser } from '../../../../test/support/graph-fixture.ts';
import type { FrozenMail, MailTransport } from '../../transport.ts';

let site: GraphSite;
let transport: MailTransport;

beforeAll(async () => {
  site = await startGraphSite({
    mailboxes: [{ userPrincipalName: testUser, maxMessageSize: 150 * 1024 * 1024 }],
  });
  transport = site.transport();
});
afterAll(async () => {
  await transport.close();
  await site.stop();
});
afterEach(() => {
  site.graph.faults.clear();
  expect(site.graph.violations).toEqual([]);
  expect(site.graph.exposedTokens).toEqual([]);
  site.graph.reset();
});

const content = (size: number, seed: number) => Buffer.alloc(size, Buffer.from([seed, 0, 255, 13, 10, 46, seed ^ 99]));
const encoded = (bytes: Buffer) => (bytes.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n');

function part(name: string, bytes: Buffer): readonly string[] {
  return [
    '--m',
    `Content-Type: application/octet-stream; name=${name}`,
    `Content-Disposition: attachment; filename=${name}`,
    'Content-Transfer-Encoding: base64',
    '',
    encoded(bytes),
  ];
}

function largeMail(attachments: Readonly<Record<string, Buffer>>): FrozenMail {
  const base = frozenMail();
  const text = Buffer.from(
    [
      'From: corpus@example.com',
      'To: anna@example.org',
      'Reply-To: answers@example.com',
      'In-Reply-To: <first@example.org>',
      'References: <first@example.org>',
      `Message-ID: ${base.messageId}`,
      'Subject: large',
      'Content-Type: multipart/mixed; boundary=m',
      '',
      '--m',
      'Content-Type: multipart/alternative; boundary=a',
      '',
      '--a',
      'Content-Type: text/plain',
      '',
      'plain',
      '--a',
      'Content-Type: text/html',
      '',
      '<p>rich</p>',
      '--a--',
      ...Object.entries(attachments).flatMap(([name, bytes]) => part(name, bytes)),
      '--m--',
      '',
    ].join('\r\n'),
  );
  return { ...base, size: text.length, open: async () => Readable.from([text]) };
}

const routes = () =>
  site.graph.requests.map(({ method, route }) => `${method} ${route.replace(/^.*\{message-id\}/, '')}`);

describe('a mail larger than a request may be', () => {
  it('goes by a draft with its text, and by uploads, and loses nothing', async () => {
    const attachments = {
      'big.bin': content(9_000_001, 1),
      'middle.bin': content(2_500_000, 2),
      'small.txt': content(700, 3),
    };
    const options = sendOptions();
    const receipt = await transport.send(largeMail(attachments), options);
    expect(receipt).toEqual({ recipients: [{ address: 'anna@example.org', outcome: 'accepted' }] });
    expect(options.commits()).toBe(1);
    const [sent] = site.graph.sent(testUser);
    const text = sent?.bytes().toString('latin1') ?? '';
    for (const kept of [
      'Reply-To: answers@example.com',
      'In-Reply-To: <first@',
      'References: <first@',
      'plain',
      '<p>rich</p>',
    ]) {
      expect(text).toContain(kept);
    }
    for (const [name, bytes] of Object.entries(attachments)) {
      expect(text).toContain(name);
      expect(text.replace(/\s/g, '')).toContain(bytes.toString('base64'));
    }
    expect(routes().filter((route) => route.startsWith('PUT'))).toHaveLength(4);
    expect(site.graph.requests.filter(({ method }) => method === 'PUT').every(({ hadToken }) => !hadToken)).toBe(true);
  });

  it('goes in smaller ranges beside other large mails, and loses nothing', async () => {
    const crowd = 4;
    const contents = Array.from({ length: crowd }, (_, n) => content(6_000_001, 5 + n));
    const ranges = () => routes().filter((route) => route.startsWith('PUT')).length;
    const mails = contents.map((bytes) => largeMail({ 'big.bin': bytes }));
    const receipts = await Promise.all(mails.map((mail) => transport.send(mail, sendOptions())));
    expect(receipts.map(outcomes)).toEqual(mails.map(() => ['accepted']));
    const sent = site.graph.sent(testUser).map((mail) => mail.bytes().toString('latin1').replace(/\s/g, ''));
    for (const bytes of contents) {
      const whole = bytes.toString('base64');
      expect(sent.filter((text) => text.includes(whole))).toHaveLength(1);
    }
    const together = ranges();
    expect(together).toBeGreaterThan(3 * crowd);
    expect(outcomes(await transport.send(largeMail({ 'big.bin': content(6_000_001, 4) }), sendOptions()))).toEqual([
      'accepted',
    ]);
    expect(ranges() - together).toBe(3);
  });

  it('begins again after an upload that broke off, and leaves no half a draft', async () => {
    const mail = largeMail({ 'big.bin': content(9_000_001, 4) });
    site.graph.faults.add({ fault: { kind: 'reset', done: false }, method: 'PUT', skip: 1 });
    let note: string | undefined;
    const remember = async (text: string) => {
      note = text;
    };
    const first = await transport.send(mail, sendOptions({ remember }));
    expect(outcomes(first)).toEqual(['deferred']);
    expect(JSON.stringify(first)).not.toMatch(/https?:/);
    const before = routes().length;
    const second = await transport.send(mail, sendOptions({ remember, ...(note ? { remembered: note } : {}) }));
    expect(outcomes(second)).toEqual(['accepted']);
    // Its ranges are as large as those of one alone: the memory of the first try is free again.
    expect(
      routes()
        .slice(before)
        .filter((route) => route.startsWith('PUT')),
    ).toHaveLength(4);
    expect(site.graph.sent(testUser)).toHaveLength(1);
    expect(site.graph.mailbox(testUser).mails('drafts')).toEqual([]);
  });

  it('is refused by its size where the mailbox may not send as much', async () => {
    const small = await startGraphSite({ mailboxes: [{ userPrincipalName: testUser, maxMessageSize: 6_000_000 }] });
    try {
      const mail = largeMail({ 'big.bin': content(5_000_000, 5) });
      const receipt = await small.transport().send(mail, sendOptions());
      expect(receipt.trouble).toMatchObject({ scope: 'message', code: 'ErrorMessageSizeExceeded' });
      expect(outcomes(receipt)).toEqual(['rejected']);
    } finally {
      await small.stop();
    }
  });

  it('is refused directly, with a word about drafts', async () => {
    const options = sendOptions();
    const receipt = await site
      .transport({ sendMode: 'direct' })
      .send(largeMail({ 'big.bin': content(4_000_000, 6) }), options);
    expect(receipt.trouble).toMatchObject({ code: 'MAIL_TOO_LARGE' });
    expect(receipt.trouble?.hint).toMatch(/draft/);
    expect(options.commits()).toBe(0);
  });
});
