import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSmtpTransport } from '../shared/adapters/smtp/smtp-transport.ts';
import { deliver } from '../shared/outbox/delivering/deliver.ts';
import { makeTestCertificates } from './support/certificates.ts';
import { MemoryOutbox } from './support/memory-outbox.ts';
import { onThisMachine } from './support/on-this-machine.ts';
import { type Answer, startScriptedSmtp } from './support/scripted-smtp.ts';
import { smtpConfig, startSmtpSubject } from './support/smtp-subject.ts';

/**
 * What becomes of a mail to two recipients, by what its server says in each state (design section 4.6): the recipients,
 * the message, minutes until the next attempt (none: it has ended), and whether the account counts as failing.
 */
type Case = readonly [
  state: string,
  answer: Answer,
  recipients: string,
  status: string,
  nextInMinutes: number | undefined,
  accountFails: boolean,
];

const none = undefined;
const waits = ['deferred deferred', 'queued', 1, false] as const;
const accountWaits = ['deferred deferred', 'queued', 1, true] as const;
const refused = ['rejected rejected', 'failed', none, false] as const;
const inDoubt = ['uncertain uncertain', 'uncertain', none, false] as const;
const cut: Answer = { next: 'cut' };
const silent: Answer = { next: 'silent' };

/** `RCPT b`: at the second recipient alone. */
const cases: readonly Case[] = [
  ['GREETING', '220 scripted.example', 'accepted accepted', 'sent', none, false],
  // Before the mail: the account's trouble, or the connection's.
  ['GREETING', '554 5.7.1 not from this address', ...accountWaits],
  ['GREETING', '450 4.7.0 not yet', ...waits],
  ['GREETING', '421 4.3.2 closing down', ...waits],
  ['GREETING', cut, ...waits],
  ['GREETING', silent, ...waits],
  ['EHLO', '554 5.7.1 go away', ...accountWaits],
  ['EHLO', '451 4.3.0 not now', ...waits],
  ['EHLO', '421 4.3.2 closing down', ...waits],
  ['EHLO', cut, ...waits],
  ['STARTTLS', '501 5.5.4 no TLS here', ...accountWaits],
  ['STARTTLS', '454 4.7.0 no TLS today', ...waits],
  ['STARTTLS', { reply: '220 go ahead', next: 'cut' }, ...waits],
  ['STARTTLS', cut, ...waits],
  ['AUTH', '535 5.7.8 refused', ...accountWaits],
  ['AUTH', '534 5.7.9 too weak', ...accountWaits],
  ['AUTH', '454 4.7.0 directory is away', ...waits],
  ['AUTH', '421 4.3.2 closing down', ...waits],
  ['AUTH', cut, ...waits],
  // The sender.
  ['MAIL', '550 5.7.1 not as this sender', ...refused],
  ['MAIL', '550 5.7.60 send as denied', ...accountWaits],
  ['MAIL', '530 5.7.57 sign-in expired', ...accountWaits],
  ['MAIL', '552 5.3.4 too large', ...refused],
  ['MAIL', '451 4.3.0 not now', ...waits],
  ['MAIL', '421 4.3.2 closing down', ...waits],
  ['MAIL', cut, ...waits],
  ['MAIL', silent, ...waits],
  // The recipients.
  ['RCPT', '550 5.1.1 no such user', ...refused],
  ['RCPT b', '550 5.1.1 no such user', 'accepted rejected', 'partiallySent', none, false],
  ['RCPT b', '552 5.2.2 mailbox full', 'accepted rejected', 'partiallySent', none, false],
  ['RCPT', '450 4.7.1 greylisted', ...waits],
  ['RCPT b', '450 4.7.1 greylisted', 'accepted deferred', 'queued', 1, false],
  ['RCPT b', '452 4.2.2 mailbox full', 'accepted deferred', 'queued', 1, false],
  ['RCPT', '552 too many recipients', ...waits],
  ['RCPT b', '552 5.5.3 too many recipients', 'accepted deferred', 'queued', 1, false],
  ['RCPT', '530 5.7.0 sign in first', ...accountWaits],
  ['RCPT b', '530 5.7.0 sign in first', 'accepted deferred', 'queued', 1, true],
  ['RCPT', '421 4.3.2 closing down', ...waits],
  ['RCPT b', cut, ...waits],
  // The text.
  ['DATA', '554 5.7.1 not this content', ...refused],
  ['DATA', '552 5.3.4 too much', ...refused],
  ['DATA', '451 4.3.0 not now', ...waits],
  ['DATA', '421 4.3.2 closing down', ...waits],
  ['DATA', cut, ...waits],
  ['DATA', silent, ...waits],
  ['END', '554 5.7.1 not this content', ...refused],
  ['END', '552 5.2.3 too large', ...refused],
  ['END', '451 4.3.0 not now', ...waits],
  ['END', '421 4.3.2 closing down', ...waits],
  ['END', cut, ...inDoubt],
  ['END', silent, ...inDoubt],
];

/** What is wrong with the TLS of a server, and what becomes of a mail then. */
const tlsCases: readonly (readonly [
  wrong: 'nothing' | 'expired' | 'wrongHost' | 'selfSigned' | 'noTls',
  by: 'smtp' | 'smtps',
  ...result: readonly [string, string, number | undefined, boolean],
])[] = [
  ['nothing', 'smtp', 'accepted accepted', 'sent', none, false],
  ['nothing', 'smtps', 'accepted accepted', 'sent', none, false],
  ['expired', 'smtp', ...accountWaits],
  ['expired', 'smtps', ...accountWaits],
  ['wrongHost', 'smtp', ...accountWaits],
  ['selfSigned', 'smtps', ...accountWaits],
  // `starttls: required`, and none is offered; plain text where a handshake was to be.
  ['noTls', 'smtp', ...accountWaits],
  ['noTls', 'smtps', ...waits],
];

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

type Transport = ReturnType<typeof createSmtpTransport>;

/** One attempt to deliver a mail to two recipients by this transport, and what became of it. */
async function attempt(transport: Transport) {
  const outbox = new MemoryOutbox();
  const id = await outbox.accept({
    recipients: ['a', 'b'].map((name) => ({ address: `${name}@example.org`, status: 'pending' })),
  });
  const context = { ...outbox.context, transport: async () => transport };
  await deliver(context, id, { signal: new AbortController().signal });
  const { nextAttemptAt, status, recipients } = await outbox.record(id);
  return [
    recipients.map((recipient) => recipient.status).join(' '),
    status,
    nextAttemptAt && (nextAttemptAt - outbox.now) / 60_000,
    outbox.events.some(({ type }) => type === 'mailroom.account.failing'),
  ];
}

describe('a server that answers', () => {
  it.each(cases)('%s: %j → %s, %s', async (state, answer, recipients, status, nextInMinutes, accountFails) => {
    const [step, which] = state.split(' ');
    const signsIn = step === 'AUTH';
    const encrypts = step === 'STARTTLS';
    const server = await startScriptedSmtp({
      extensions: [...(encrypts ? ['STARTTLS'] : []), ...(signsIn ? ['AUTH PLAIN'] : []), '8BITMIME'],
      answer: (now, line) => {
        const here = now === step || (step === 'EHLO' && now === 'HELO');
        return here && (which === undefined || line.includes(`<${which}@`)) ? answer : undefined;
      },
    });
    const auth = { auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp' } };
    const transport = createSmtpTransport(
      smtpConfig({
        port: server.port,
        timeout: 1_000,
        tls: { starttls: encrypts ? 'preferred' : 'never' },
        ...(signsIn ? auth : {}),
      }),
      { ...onThisMachine, secret: async () => 'swordfish', maxConnections: 1 },
    );
    cleanUp.push(
      () => server.stop(),
      () => transport.close(),
    );
    expect(await attempt(transport)).toEqual([recipients, status, nextInMinutes, accountFails]);
  });
});

describe('a server whose TLS', () => {
  it.each(tlsCases)('has %s wrong, by %s → %s, %s', async (wrong, protocol, ...result) => {
    const directory = await mkdtemp(join(tmpdir(), 'send-table-'));
    cleanUp.push(() => rm(directory, { recursive: true }));
    const variant = wrong === 'nothing' || wrong === 'noTls' ? 'good' : wrong;
    const { key, cert, ca } = await makeTestCertificates(directory, { variant });
    const server = await startSmtpSubject({
      server: wrong === 'noTls' ? {} : { key, cert, disabledCommands: [], secure: protocol === 'smtps' },
    });
    // One that is signed by itself is of an authority that the account does not name.
    const tls = { starttls: 'required', ...(wrong === 'selfSigned' ? {} : { ca }) };
    const transport = server.transportWith({ protocol, tls, timeout: 5_000 });
    cleanUp.push(
      () => server.stop(),
      () => transport.close(),
    );
    expect(await attempt(transport)).toEqual(result);
    expect(await server.delivered()).toHaveLength(wrong === 'nothing' ? 1 : 0);
  });
});
