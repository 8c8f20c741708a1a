import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Libmime } from 'libmime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposedMail, composedMails, readers, requestOf, scripts } from './support/composed-mails.ts';
import { type Dovecot, hasDovecot, startDovecot } from './support/dovecot.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { type OpenSmtpd, openSmtpdMissing, startOpenSmtpd } from './support/opensmtpd.ts';
import { recordOf } from './support/sending.ts';

/** What a caller hands in goes through a mail server of others and comes back by the import as it was. */

const hasLmtp = existsSync('/usr/lib/dovecot/lmtp');
const dovecotMissing = (await hasDovecot()) && hasLmtp ? undefined : 'dovecot with its LMTP server is not installed';
const missing = (await openSmtpdMissing()) ?? dovecotMissing;
if (missing && process.env.CI) throw new Error(missing);

const user = 'corpus@example.com';
const libmime = new Libmime();
const mails = composedMails(100);

let mailroom: Mailroom;
let dovecot: Dovecot;
let mta: OpenSmtpd;
/** What came back, by the number of the mail. */
const assets = new Map<number, Asset>();

type Asset = Awaited<ReturnType<typeof readAsset>>;

beforeAll(async () => {
  if (missing) return;
  const users = [user, 'anna@example.com', ...readers];
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start(),
    startDovecot({ users: Object.fromEntries(users.map((each) => [each, `password of ${each}`])) }),
  ]);
  const { lmtp } = dovecot.ports;
  if (lmtp === undefined) throw new Error('dovecot-lmtpd is not installed');
  mta = await startOpenSmtpd({ deliverTo: { lmtp: { host: dovecot.host, port: lmtp } } });
  await mailroom.secret('corpus', 'corpus-imap', `password of ${user}`);
  await mailroom.expect(201, 'PUT', '/api/accounts/corpus', {
    body: {
      from: user,
      transport: { protocol: 'smtp', host: mta.host, port: mta.port },
      store: {
        protocol: 'imap',
        host: dovecot.host,
        port: dovecot.ports.imap,
        auth: { type: 'password', user, secret: 'corpus-imap' },
        tls: { starttls: 'required', ca: dovecot.certificates.ca },
      },
      import: { schedule: null },
    },
  });
  await sendAll();
  await importAll();
}, 300_000);

afterAll(async () => {
  await mailroom?.stop();
  await mta?.stop();
  await dovecot?.remove();
});

async function sendAll(): Promise<void> {
  const ids: string[] = [];
  for (let at = 0; at < mails.length; at += 20) {
    const answers = mails
      .slice(at, at + 20)
      .map((mail) => mailroom.expect(202, 'POST', '/api/messages', { body: requestOf(mail) }));
    ids.push(...(await Promise.all(answers)).map(({ json }) => json.id));
  }
  const sent = () => mailroom.expect(200, 'GET', '/api/messages?top=1000&status=sent');
  await until('all sent', 120, async () => (await sent()).json.items.length === mails.length);
  for (const id of ids) expect(await recordOf(mailroom, id)).toMatchObject({ status: 'sent' });
}

async function importAll(): Promise<void> {
  const client = await dovecot.client(user);
  await until('all in the mailbox', 120, async () => (await client.uids('INBOX')).length >= mails.length);
  await client.close();
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: mails.length, pending: 0 });
  const listed = await mailroom.assets('corpus');
  for (let at = 0; at < listed.length; at += 20) {
    for (const asset of await Promise.all(listed.slice(at, at + 20).map(({ id }) => readAsset(id)))) {
      assets.set(Number(asset.header('X-Number')), asset);
    }
  }
}

/** All that the service says of an asset, with the bytes of its attachments. */
async function readAsset(id: string) {
  const { json } = await mailroom.expect(200, 'GET', `/api/assets/${id}`);
  const mime = (await mailroom.expect(200, 'GET', `/api/assets/${id}/mime`)).bytes.toString('latin1');
  const header = mime.slice(0, mime.indexOf('\r\n\r\n'));
  const files: { filename: string; contentType: string; contentId: string | null; inline: boolean; bytes: Buffer }[] =
    [];
  for (const { n, size, sha256, filename, contentType, contentId, inline } of json.attachments) {
    const { bytes } = await mailroom.expect(200, 'GET', `/api/assets/${id}/attachments/${n}`);
    expect({ size, sha256 }).toEqual({ size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
    files.push({ filename, contentType, contentId, inline, bytes });
  }
  return {
    json,
    mime,
    files,
    /** A header's value as it stands there, unfolded. */
    header: (name: string) =>
      new RegExp(`^${name}: (.*(?:\r\n[ \t].*)*)`, 'im').exec(header)?.[1]?.replace(/\r\n/g, ''),
  };
}

/** A text without what no mail can keep: which line ends it has, and whether it ends with one. */
const lines = (text: string | undefined) => text?.replaceAll('\r\n', '\n').replace(/\n+$/, '');

const assetOf = ({ n }: ComposedMail) => assets.get(n) ?? expect.fail(`mail ${n} has not come back`);

describe.skipIf(missing !== undefined)(
  `${mails.length} mails in ${scripts.length} scripts, through OpenSMTPD and Dovecot to assets${missing ? ` (left out: ${missing})` : ''}`,
  () => {
    it('come back, each once', async () => {
      expect(scripts.length).toBeGreaterThanOrEqual(15);
      expect([...assets.keys()].sort((a, b) => a - b)).toEqual(mails.map(({ n }) => n));
      expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
    });

    it.each(mails)('$n: $subject', (mail) => {
      const asset = assetOf(mail);
      const { json } = asset;
      expect(json.subject).toBe(mail.subject);
      expect({ from: json.from, to: json.to, cc: json.cc, replyTo: json.replyTo }).toEqual({
        from: [mail.from],
        to: mail.to,
        cc: mail.cc,
        replyTo: mail.replyTo,
      });
      expect(lines(json.text ?? undefined)).toBe(lines(mail.text));
      expect(lines(json.html ?? undefined)).toBe(lines(mail.html));
      expect(json.inReplyTo).toBe(mail.inReplyTo ?? null);
      expect(json.references).toEqual(mail.references ?? (mail.inReplyTo ? [mail.inReplyTo] : []));
      expect(json.defects).toEqual([]);
      expect(json.flags).toMatchObject({ bounce: false, calendar: mail.calendar !== undefined, oversize: false });
      expect(asset.header('Importance')).toBe(mail.priority);
      const note = asset.header('X-Note');
      expect(note && libmime.decodeWords(note)).toBe(mail.headers['X-Note']);
      expect(asset.mime).not.toMatch(/^bcc:/im);
    });

    it.each(mails.filter(({ attachments, calendar }) => attachments.length > 0 || calendar))(
      'attachments of $n: names, types and bytes',
      (mail) => {
        const { files } = assetOf(mail);
        const calendars = files.filter(({ contentType }) => contentType === 'text/calendar');
        expect(calendars.map(({ bytes }) => bytes.toString())).toEqual(mail.calendar ? [mail.calendar.content] : []);
        const others = files.filter(({ contentType }) => contentType !== 'text/calendar');
        const facts = others.map(({ bytes, ...file }) => ({ ...file, bytes: bytes.toString('base64') }));
        const expected = mail.attachments.map(({ filename, contentType, contentId, content }) => ({
          filename,
          contentType,
          contentId: contentId === undefined ? null : `${contentId}`,
          inline: contentId !== undefined,
          bytes: content.toString('base64'),
        }));
        const byName = (a: { filename: string }, b: { filename: string }) => (a.filename < b.filename ? -1 : 1);
        expect(facts.sort(byName)).toEqual(expected.sort(byName));
      },
    );
  },
);
