import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, frozenMail, longBody, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { openSmtpdMissing, readMaildir, startOpenSmtpd } from '../../../test/support/opensmtpd.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import { createSmtpTransport } from './smtp-transport.ts';

const missing = await openSmtpdMissing();
if (missing && process.env.CI) throw new Error(missing);

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function maildirServer(options: { readonly maxMessageSize?: number } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'smtp-maildir-'));
  cleanUp.push(() => rm(directory, { recursive: true, force: true }));
  // The delivering user must be able to pass.
  await chmod(directory, 0o711);
  const maildir = join(directory, 'mail');
  const server = await startOpenSmtpd({ deliverTo: { maildir }, ...options });
  cleanUp.push(() => server.stop());
  return { server, maildir };
}

function transportFor(port: number) {
  const transport = createSmtpTransport(smtpConfig({ port }), {
    ...onThisMachine,
    secret: async () => '',
    maxConnections: 3,
  });
  cleanUp.push(() => transport.close());
  return transport;
}

/** OpenSMTPD puts lines of its own in front and leaves the mail's own bytes alone, but for maildir's line ends. */
const endsWith = (stored: Buffer, text: Buffer) => {
  const expected = Buffer.from(text.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  return stored.subarray(-expected.length).equals(expected);
};

describe.skipIf(missing !== undefined)(`OpenSMTPD${missing ? ` (left out: ${missing})` : ''}`, () => {
  it('takes mail, once for each recipient, with its bytes as they were', async () => {
    const { server, maildir } = await maildirServer();
    const transport = transportFor(server.port);
    const body = `.\r\n..\r\nGrüße\r\n${'x'.repeat(990)}\r\n.end\r\n`;
    const mails = [
      frozenMail({ to: ['anna@example.org', 'bert@example.org'], body }),
      frozenMail({ body: longBody(2_000_000) }),
      ...Array.from({ length: 8 }, () => frozenMail()),
    ];
    const receipts = await Promise.all(mails.map((mail) => transport.send(mail, sendOptions())));
    expect(receipts.flatMap(outcomes)).toEqual(Array.from({ length: 11 }, () => 'accepted'));
    expect(receipts[0]?.recipients[0]).toMatchObject({ code: '250', reply: expect.stringContaining('accepted') });
    await eventually('every mail is in the maildir', async () => (await readMaildir(maildir)).length >= 11);
    const stored = await readMaildir(maildir);
    expect(stored).toHaveLength(11);
    const counts = mails.map((mail) => stored.filter((bytes) => endsWith(bytes, mail.text)).length);
    expect(counts).toEqual([2, ...Array.from({ length: 9 }, () => 1)]);
  });

  it('drops a mail whose commit failed or whose text ended short', async () => {
    const { server, maildir } = await maildirServer();
    const transport = transportFor(server.port);
    const failing = sendOptions({ beforeCommit: () => Promise.reject(new Error('no')) });
    expect(outcomes(await transport.send(frozenMail({ body: longBody(100_000) }), failing))).toEqual(['deferred']);
    const short = frozenMail({ body: longBody(100_000), size: 200_000 });
    expect(outcomes(await transport.send(short, sendOptions()))).toEqual(['deferred']);
    const last = frozenMail();
    expect(outcomes(await transport.send(last, sendOptions()))).toEqual(['accepted']);
    await eventually('the last mail is in the maildir', async () => (await readMaildir(maildir)).length > 0);
    const stored = await readMaildir(maildir);
    expect(stored.map((bytes) => endsWith(bytes, last.text))).toEqual([true]);
  });

  it('announces its size limit, which rejects a larger mail beforehand', async () => {
    const { server } = await maildirServer({ maxMessageSize: 50_000 });
    const receipt = await transportFor(server.port).send(frozenMail({ body: longBody(60_000) }), sendOptions());
    expect(receipt.recipients).toMatchObject([{ outcome: 'rejected', code: 'SIZE', reply: 'SIZE 50000' }]);
  });

  it('rejects the addresses it does not like alone', async () => {
    const { server } = await maildirServer();
    const to = ['not an address', 'anna@example.org'];
    const receipt = await transportFor(server.port).send(frozenMail({ to }), sendOptions());
    expect(outcomes(receipt)).toEqual(['rejected', 'accepted']);
    expect(receipt.recipients[0]?.code).toMatch(/^5\d\d$/);
  });

  it('hands mail on by LMTP', async () => {
    const got: { readonly to: readonly string[]; readonly bytes: Buffer }[] = [];
    const lmtp = new SMTPServer({
      lmtp: true,
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      logger: false,
      onData(stream, session, done) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          got.push({ to: session.envelope.rcptTo.map(({ address }) => address), bytes: Buffer.concat(chunks) });
          done(null);
        });
      },
    });
    const port = await new Promise<number>((resolve) => {
      const listening = lmtp.listen(0, '127.0.0.1', () => {
        const address = listening.address();
        resolve(address !== null && typeof address !== 'string' ? address.port : 0);
      });
    });
    cleanUp.push(() => new Promise<void>((resolve) => lmtp.close(() => resolve())));
    const server = await startOpenSmtpd({ deliverTo: { lmtp: { host: '127.0.0.1', port } } });
    cleanUp.push(() => server.stop());
    const mail = frozenMail({ body: 'Grüße\r\n.\r\n' });
    expect(outcomes(await transportFor(server.port).send(mail, sendOptions()))).toEqual(['accepted']);
    await eventually('it comes by LMTP', () => got.length > 0);
    expect(got[0]?.to).toEqual(['anna@example.org']);
    expect(got[0]?.bytes.subarray(-mail.text.length).equals(mail.text)).toBe(true);
  });
});
