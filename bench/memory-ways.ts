import { startDovecot } from '../test/support/dovecot.ts';
import { graphAccount } from '../test/support/graph-account.ts';
import { deliverAll } from '../test/support/imap-account.ts';
import type { Mailroom } from '../test/support/mailroom.ts';
import { endedRecord } from '../test/support/sending.ts';
import { serverAccount } from '../test/support/server-account.ts';
import { password } from './import-seconds.ts';
import { startSink } from './sink.ts';
import type { Started } from './started.ts';
import { startMailroom } from './storage.ts';

const limitSeconds = 300;
const pieceBytes = 64 << 10;
/** Small mails are handed in so many at a time. */
const callsAtOnce = 12;
const from = 'sender1@example.net';
/** Of Exchange Online at most 150 MB, which its administrators set; MIME and its counting differ a little. */
const maxMessageSize = 200_000_000;

/** A way that mail takes through the functions process. */
export interface Way {
  readonly mailroom: Mailroom;
  /** Brings mails to where they are taken from: to each mailbox its own, as many mailboxes as needed. */
  put(mails: readonly (readonly Buffer[])[]): Promise<void>;
  /** They pass, those of all mailboxes at once. */
  pass(): Promise<void>;
}

/** Starts a way with so many mailboxes. */
export type StartWay = (started: Started, mailboxes: number) => Promise<Way>;

/** Each protocol, in each direction that it has. */
export const ways: Readonly<Record<string, StartWay>> = {
  'IMAP in': (started, mailboxes) => fromServer('imap', started, mailboxes),
  'POP3 in': (started, mailboxes) => fromServer('pop3', started, mailboxes),
  'Graph in': fromGraph,
  'SMTP out': toSmtp,
  'Graph out': toGraph,
};

const namesOf = (count: number) => Array.from({ length: count }, (_, n) => `box-${n}`);

const start = (started: Started, graph: readonly string[]) =>
  started.add(
    startMailroom('shipped', {
      // On disk: in memory Azurite would hold all that ever passed.
      durable: true,
      graph: graph.map((userPrincipalName) => ({ userPrincipalName, maxMessageSize })),
    }),
    (mailroom) => mailroom.stop(),
  );

async function fromServer(protocol: 'imap' | 'pop3', started: Started, mailboxes: number): Promise<Way> {
  const names = namesOf(mailboxes);
  const users = Object.fromEntries(names.map((name) => [name, password]));
  const dovecot = await started.add(startDovecot({ users }), (part) => part.remove());
  const mailroom = await start(started, []);
  for (const user of names) await serverAccount(mailroom, user, dovecot, { protocol, user, password });
  return imports(mailroom, async (user, bytes) => {
    await deliverAll(
      dovecot,
      bytes.map((each) => ({ bytes: each })),
      { user },
    );
  });
}

async function fromGraph(started: Started, mailboxes: number): Promise<Way> {
  const names = namesOf(mailboxes);
  const addressOf = (name: string) => `${name}@example.com`;
  const mailroom = await start(started, names.map(addressOf));
  for (const name of names) await graphAccount(mailroom, name, { user: addressOf(name), transport: null });
  return imports(mailroom, async (name, bytes) => {
    for (const each of bytes) mailroom.graph.mailbox(addressOf(name)).deliver(each);
  });
}

function imports(mailroom: Mailroom, deliver: (name: string, bytes: readonly Buffer[]) => Promise<void>): Way {
  let expected: { readonly name: string; readonly count: number }[] = [];
  return {
    mailroom,
    put: async (mails) => {
      expected = mails.map(({ length: count }, n) => ({ name: `box-${n}`, count }));
      for (const [n, bytes] of mails.entries()) await deliver(`box-${n}`, bytes);
    },
    pass: async () => {
      await Promise.all(
        expected.map(async ({ name, count }) => {
          const run = await mailroom.import(name, limitSeconds);
          if (run.imported !== count) throw new Error(`the import of ${count} mails ended as ${JSON.stringify(run)}`);
        }),
      );
    },
  };
}

async function toSmtp(started: Started, mailboxes: number): Promise<Way> {
  const sink = await started.add(startSink(), (part) => part.stop());
  const mailroom = await start(started, []);
  const transport = { protocol: 'smtp', host: '127.0.0.1', port: sink.port, tls: { starttls: 'never' } };
  await mailroom.expect(201, 'PUT', '/api/accounts/corpus', {
    body: { from, transport, limits: { connections: mailboxes } },
  });
  return sends(mailroom);
}

async function toGraph(started: Started, mailboxes: number): Promise<Way> {
  const mailroom = await start(started, [from]);
  await graphAccount(mailroom, 'corpus', { user: from });
  await mailroom.expect(200, 'PATCH', '/api/accounts/corpus', {
    body: { limits: { connections: mailboxes, perMinute: 10_000 } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  const way = sends(mailroom);
  const put: Way['put'] = async (mails) => {
    // The stand-in keeps what was sent.
    mailroom.graph.reset();
    await way.put(mails);
  };
  return { ...way, put };
}

/**
 * A body of unknown length. One of known length is held whole by Azure's host, in a process of its own, before the app sees
 * any of it; the local host does the same, in the process that is measured.
 */
function inPieces(mail: Buffer): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= mail.length) return controller.close();
      controller.enqueue(mail.subarray(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}

function sends(mailroom: Mailroom): Way {
  let waiting: Buffer[] = [];
  const headers = { 'content-type': 'message/rfc822' };
  const sendNext = async () => {
    for (let mail = waiting.shift(); mail; mail = waiting.shift()) {
      const { json } = await mailroom.expect(202, 'POST', '/api/messages', { raw: inPieces(mail), headers });
      const { status, attempts } = await endedRecord(mailroom, json.id, limitSeconds);
      if (status !== 'sent') throw new Error(`a mail ended as ${status}: ${JSON.stringify(attempts)}`);
    }
  };
  return {
    mailroom,
    put: async (mails) => {
      waiting = mails.flat();
    },
    pass: async () => {
      await Promise.all(Array.from({ length: callsAtOnce }, sendNext));
    },
  };
}
