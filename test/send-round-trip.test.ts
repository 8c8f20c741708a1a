import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, hasDovecot, startDovecot } from './support/dovecot.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type OpenSmtpd, openSmtpdMissing, startOpenSmtpd } from './support/opensmtpd.ts';
import { EventReader, endedRecord, send } from './support/sending.ts';
import { type StallProxy, startStallProxy } from './support/stall-proxy.ts';

/** Part of a package of its own on Debian. */
const hasLmtp = existsSync('/usr/lib/dovecot/lmtp');
const dovecotMissing = (await hasDovecot()) && hasLmtp ? undefined : 'dovecot with its LMTP server is not installed';
const missing = (await openSmtpdMissing()) ?? dovecotMissing;
if (missing && process.env.CI) throw new Error(missing);

const users = {
  'corpus@example.com': 'password of corpus',
  'anna@example.com': 'password of anna',
  'hidden@example.com': 'password of hidden',
};
type User = keyof typeof users;

let mailroom: Mailroom;
let dovecot: Dovecot;
let mta: OpenSmtpd;
/** Between Mailroom and the MTA, to see what goes over the wire. */
let wire: StallProxy;

beforeAll(async () => {
  if (missing) return;
  [mailroom, dovecot] = await Promise.all([Mailroom.start(), startDovecot({ users })]);
  const { lmtp } = dovecot.ports;
  if (lmtp === undefined) throw new Error('dovecot-lmtpd is not installed');
  mta = await startOpenSmtpd({ deliverTo: { lmtp: { host: dovecot.host, port: lmtp } } });
  wire = await startStallProxy({ host: mta.host, port: mta.port });
  for (const [name, user] of [
    ['corpus', 'corpus@example.com'],
    ['anna', 'anna@example.com'],
    ['hidden', 'hidden@example.com'],
  ] as const) {
    await mailroom.secret(name, `${name}-imap`, users[user]);
    await mailroom.expect(201, 'PUT', `/api/accounts/${name}`, { body: account(name, user) });
  }
});

afterAll(async () => {
  await mailroom?.stop();
  await wire?.stop();
  await mta?.stop();
  await dovecot?.remove();
});

function account(name: string, user: User) {
  return {
    from: `Haus Körber <${user}>`,
    transport: { protocol: 'smtp', host: wire.host, port: wire.port },
    store: {
      protocol: 'imap',
      host: dovecot.host,
      port: dovecot.ports.imap,
      auth: { type: 'password', user, secret: `${name}-imap` },
      tls: { starttls: 'required', ca: dovecot.certificates.ca },
    },
    import: { schedule: null },
  };
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** The one mail of a mailbox that has this Message-ID, as the independent client reads it. */
async function mailOf(user: User, messageId: string): Promise<Buffer> {
  const client = await dovecot.client(user);
  try {
    return await until(`the mail in the mailbox of ${user}`, 60, async () => {
      const found: Buffer[] = [];
      for (const uid of await client.uids('INBOX')) {
        const body = await client.fetchBody('INBOX', uid);
        if (body?.includes(`Message-ID: ${messageId}`)) found.push(body);
      }
      if (found.length > 1) throw new Error('it came more than once');
      return found[0];
    });
  } finally {
    await client.close();
  }
}

/** Imports the mailbox and answers the asset that came of the mail. */
async function assetOf(name: string, messageId: string) {
  expect(await mailroom.import(name)).toMatchObject({ status: 'done', pending: 0, quarantined: 0 });
  const found = (await mailroom.assets(name)).filter((asset) => asset.messageId === messageId);
  expect(found).toHaveLength(1);
  const { json } = await mailroom.expect(200, 'GET', `/api/assets/${found[0].id}`);
  return json;
}

async function expectSameBytes(name: string, user: User, messageId: string) {
  const inMailbox = await mailOf(user, messageId);
  const asset = await assetOf(name, messageId);
  const { bytes } = await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/mime`);
  expect(bytes.equals(inMailbox)).toBe(true);
  expect(asset.sha256).toBe(sha256(inMailbox));
  expect(asset.size).toBe(inMailbox.length);
  return { asset, inMailbox };
}

describe.skipIf(missing !== undefined)(
  `from HTTP through OpenSMTPD and Dovecot to an asset${missing ? ` (left out: ${missing})` : ''}`,
  () => {
    const text = 'Grüße aus Köln — 20 °C\r\n.\r\n..zwei Punkte\r\nFrom hier an: 日本語, “quotes” and a long line: ';
    const attachment = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7 + (at >> 8)) % 256));
    const mail = {
      to: ['Anna Müller <anna@example.com>', 'corpus@example.com'],
      bcc: ['hidden@example.com'],
      subject: 'Prüfung: Größe & Grüße',
      text: text + 'ü'.repeat(1_500),
      html: '<p>Grüße aus <b>Köln</b></p>',
      attachments: [
        {
          filename: 'Übersicht 2026.bin',
          contentType: 'application/octet-stream',
          content: attachment.toString('base64'),
        },
      ],
    };
    let sent: { id: string; messageId: string };

    it('leaves, and the MTA has it for everybody', async () => {
      sent = await send(mailroom, 'corpus', mail);
      const record = await endedRecord(mailroom, sent.id);
      expect(record.status).toBe('sent');
      expect(record.recipients.map(({ address, status }) => [address, status])).toEqual([
        ['anna@example.com', 'accepted'],
        ['corpus@example.com', 'accepted'],
        ['hidden@example.com', 'accepted'],
      ]);
      expect((await new EventReader(mailroom).about(sent.id)).map(({ type }) => type)).toEqual([
        'mailroom.message.sent',
      ]);
    });

    it.each([
      ['anna', 'anna@example.com'],
      ['hidden', 'hidden@example.com'],
    ] as const)('arrives at %s, and the asset has the bytes of the mailbox', async (name, user) => {
      const { asset, inMailbox } = await expectSameBytes(name, user, sent.messageId);
      expect(inMailbox.toString('latin1')).not.toMatch(/^bcc:/im);
      expect(asset.subject).toBe(mail.subject);
      expect(asset.from).toEqual([{ name: 'Haus Körber', address: 'corpus@example.com' }]);
      expect(asset.to).toEqual([
        { name: 'Anna Müller', address: 'anna@example.com' },
        { name: '', address: 'corpus@example.com' },
      ]);
      expect(asset.text.replaceAll('\r\n', '\n').trimEnd()).toBe(mail.text.replaceAll('\r\n', '\n').trimEnd());
      expect(asset.html.trimEnd()).toBe(mail.html);
      expect(asset.attachments).toEqual([
        expect.objectContaining({
          filename: 'Übersicht 2026.bin',
          size: attachment.length,
          sha256: sha256(attachment),
        }),
      ]);
      const { bytes } = await mailroom.expect(200, 'GET', `/api/assets/${asset.id}/attachments/1`);
      expect(bytes.equals(attachment)).toBe(true);
      expect(asset.defects).toEqual([]);
    });

    it('ready-made MIME in 8 bits goes through as it was handed in', async () => {
      const body = 'Schöne Grüße in 8 Bit\r\n.\r\n.. und Punkte\r\n';
      const raw = Buffer.from(
        [
          'From: Haus <corpus@example.com>',
          'To: corpus@example.com',
          'Bcc: hidden@example.com',
          'Subject: ready-made',
          'Message-ID: <ready-made@example.com>',
          'Date: Mon, 05 Jan 2026 10:00:00 +0100',
          'MIME-Version: 1.0',
          'Content-Type: text/plain; charset=utf-8',
          'Content-Transfer-Encoding: 8bit',
          '',
          body,
        ].join('\r\n'),
      );
      const headers = { 'content-type': 'message/rfc822' };
      const { json } = await mailroom.expect(202, 'POST', '/api/messages', { raw, headers });
      expect((await endedRecord(mailroom, json.id)).status).toBe('sent');
      const { inMailbox, asset } = await expectSameBytes('corpus', 'corpus@example.com', '<ready-made@example.com>');
      const withoutBcc = raw.toString().replace('Bcc: hidden@example.com\r\n', '');
      expect(inMailbox.toString().endsWith(withoutBcc)).toBe(true);
      expect(asset.text.replaceAll('\r\n', '\n')).toBe(body.replaceAll('\r\n', '\n'));
      expect((await mailOf('hidden@example.com', '<ready-made@example.com>')).includes('Bcc:')).toBe(false);
    });

    it('a blind recipient is named in the envelope and nowhere else on the wire', () => {
      const lines = wire.sent();
      expect(lines.filter((line) => /^Subject: (ready-made|=\?UTF-8)/.test(line))).toHaveLength(2);
      const named = lines.filter((line) => line.includes('hidden@example.com'));
      expect(named.map((line) => /^RCPT TO:<[^>]+>/.exec(line)?.[0])).toEqual(
        Array(2).fill('RCPT TO:<hidden@example.com>'),
      );
      expect(lines.filter((line) => /^bcc:/i.test(line))).toEqual([]);
    });

    it('none of it comes twice, to anybody', async () => {
      for (const [name, count] of Object.entries({ corpus: 2, anna: 1, hidden: 2 })) {
        await mailroom.import(name);
        expect(await mailroom.assets(name)).toHaveLength(count);
        expect(await mailroom.import(name)).toMatchObject({ status: 'done', imported: 0 });
      }
    });
  },
);
