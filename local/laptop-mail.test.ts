import { afterEach, expect, test } from 'vitest';
import { makeCertificate } from './certificate.ts';
import { startEntra } from './entra/entra.ts';
import { startGraph } from './graph/graph.ts';
import { startImapMailbox } from './imap-mailbox/imap-mailbox.ts';
import { mailDelivery } from './laptop-mail.ts';
import type { SinkMail } from './smtp-sink.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function mailboxes() {
  const certificate = await makeCertificate();
  const imap = await startImapMailbox({ accounts: [{ user: 'corpus', password: 'secret' }] });
  cleanups.push(() => imap.stop());
  const entra = await startEntra({ certificate, apps: [] });
  cleanups.push(() => entra.stop());
  const service = await startGraph({ certificate, entra, mailboxes: [{ userPrincipalName: 'graph@example.com' }] });
  cleanups.push(() => service.stop());
  return { imap, graph: service.mailbox('graph@example.com') };
}

const receivedAt = Date.UTC(2026, 0, 2);

function mailTo(...to: string[]): SinkMail {
  const bytes = Buffer.from('Subject: hello\r\n\r\nhello\r\n');
  return { number: 1, from: 'a@example.com', to, bytes, receivedAt, secure: false, user: undefined };
}

test('each recipient with a mailbox gets a mail once, and the two mailboxes do not mix', async () => {
  const { imap, graph } = await mailboxes();
  const deliver = mailDelivery(imap, graph);
  const counts = () => [imap.mails('corpus').length, graph.mails().length];

  deliver(mailTo('corpus@anything.example'));
  expect(counts()).toEqual([1, 0]);
  deliver(mailTo('Graph@Example.com', 'graph@example.com', 'other@example.com'));
  expect(counts()).toEqual([1, 1]);
  deliver(mailTo('corpus@example.com', 'graph@example.com'));
  expect(counts()).toEqual([2, 2]);
  deliver(mailTo('graph@elsewhere.example'));
  expect(counts()).toEqual([2, 2]);

  const [mail] = graph.mails('inbox');
  expect(mail).toMatchObject({ subject: 'hello', receivedAt, isRead: false, isDraft: false });
  expect(mail?.bytes()).toEqual(mailTo().bytes);

  mailDelivery(imap, undefined)(mailTo('graph@example.com', 'corpus@example.com'));
  expect(counts()).toEqual([3, 2]);
});

test('a full Graph mailbox takes no mail, nor does any other then; deleting for good makes room', async () => {
  const { imap, graph } = await mailboxes();
  const { length } = mailTo().bytes;
  for (const bounds of [
    { bytes: 2 * length, mails: 100 },
    { bytes: 100 * length, mails: 2 },
  ]) {
    const deliver = mailDelivery(imap, graph, bounds);
    const before = imap.mails('corpus').length;
    deliver(mailTo('graph@example.com'));
    deliver(mailTo('graph@example.com'));
    expect(() => deliver(mailTo('corpus@example.com', 'graph@example.com'))).toThrow('full');
    expect(imap.mails('corpus')).toHaveLength(before);
    for (const { immutableId } of graph.mails('inbox').slice(1)) graph.delete(immutableId, 'permanent');
    deliver(mailTo('graph@example.com'));
    for (const { immutableId } of graph.mails('inbox')) graph.delete(immutableId, 'permanent');
  }
});
