import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterEach, expect, test } from 'vitest';
import { makeCertificate } from './certificate.ts';
import { type SmtpSink, startSmtpSink } from './smtp-sink.ts';

const cleanups: (() => unknown)[] = [];
const raw = 'Subject: hello\r\n\r\n.a line with a dot\r\nend\r\n';

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(...options: Parameters<typeof startSmtpSink>): Promise<SmtpSink> {
  const sink = await startSmtpSink(...options);
  cleanups.push(() => sink.stop());
  return sink;
}

function send(sink: SmtpSink, to: string, extra: object = {}) {
  const transport = createTransport({ host: 'localhost', port: sink.port, ignoreTLS: true, ...extra });
  return transport.sendMail({ envelope: { from: 'a@example.com', to }, raw });
}

test('it keeps envelope and bytes, in memory and as a file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'smtp-sink-'));
  cleanups.push(() => rm(directory, { recursive: true }));
  const sink = await started({ directory });
  await send(sink, 'b@example.com');
  const [mail, ...more] = sink.mails();
  expect(more).toEqual([]);
  expect(mail).toMatchObject({ number: 1, from: 'a@example.com', to: ['b@example.com'], secure: false });
  expect(mail?.bytes.toString()).toBe(raw);
  const [file = ''] = await readdir(directory);
  expect(await readFile(join(directory, file), 'utf8')).toBe(raw);
});

test('with a certificate it offers STARTTLS, and takes any password', async () => {
  const certificate = await makeCertificate();
  const sink = await started({ certificate });
  const secure = { ignoreTLS: false, requireTLS: true, tls: { ca: certificate.ca } };
  await send(sink, 'b@example.com', { ...secure, auth: { user: 'someone', pass: 'anything' } });
  expect(sink.mails()).toMatchObject([{ secure: true, user: 'someone' }]);
});

test('a wait ends with the mail that fits, at its deadline, or by its signal', async () => {
  const sink = await started();
  const waiting = sink.waitFor((mail) => mail.to.includes('second@example.com'));
  await send(sink, 'first@example.com');
  await send(sink, 'second@example.com');
  expect((await waiting).number).toBe(2);
  expect((await sink.waitFor((mail) => mail.number === 1)).to).toEqual(['first@example.com']);
  await expect(sink.waitFor(() => false, { timeout: 20 })).rejects.toThrow(/no such mail/);
  await expect(sink.waitFor(() => false, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});

test('a mail that cannot be delivered on is not acknowledged', async () => {
  const sink = await started({
    deliver: () => {
      throw new Error('mailbox full');
    },
  });
  await expect(send(sink, 'b@example.com')).rejects.toMatchObject({ responseCode: 451 });
  expect(sink.mails()).toEqual([]);
});
