import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mailboxAccess, mailsIn } from './support/append-account.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { type Beside, Mailroom, until } from './support/mailroom.ts';
import { random } from './support/mails.ts';
import { readEvents, readOutbox, type StoredMessage, untruths } from './support/outbox-audit.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { smtpAccount } from './support/sending.ts';

/** Each meets mails of every protocol under way. */
const kills = 40;
const stops = 20;
/** Longer than every lease. */
const stopMs = 70_000;
const day = 86_400_000;

const user = 'sender@example.com';
const accounts = ['by-smtp', 'by-imap', 'by-graph'] as const;
const mailConcurrency = { 'by-smtp': 6, 'by-imap': 4, 'by-graph': 3 };

let mailroom: Mailroom;
let dovecot: Dovecot;
let server: ScriptedSmtp;
const chance = random(2_026);

describe(`${kills} kills and ${stops} stops of 70 s, three processes on one storage`, () => {
  beforeAll(async () => {
    [mailroom, dovecot, server] = await Promise.all([
      Mailroom.start({ graph: [{ userPrincipalName: user }, { userPrincipalName: 'partner@example.org' }] }),
      startDovecot({ users: { appended: 'password of appended', copied: 'password of copied' } }),
      startScriptedSmtp(),
    ]);
    const store = await mailboxAccess(mailroom, 'by-smtp', dovecot, 'copied');
    await smtpAccount(mailroom, 'by-smtp', { port: server.port, saveToSent: true }, { store });
    const access = await mailboxAccess(mailroom, 'by-imap', dovecot, 'appended');
    const from = 'by-imap <by-imap@example.com>';
    const body = { from, transport: { ...access, folder: 'INBOX' }, import: { schedule: null } };
    await mailroom.expect([200, 201], 'PUT', '/api/accounts/by-imap', { body });
    await mailroom.secret('by-graph', 'by-graph-client-secret', 'test-client-secret');
    const credential = {
      type: 'clientSecret',
      tenantId: '11111111-1111-4111-8111-111111111111',
      clientId: '22222222-2222-4222-8222-222222222222',
      secret: 'by-graph-client-secret',
    };
    await mailroom.expect([200, 201], 'PUT', '/api/accounts/by-graph', {
      body: {
        from: user,
        transport: { protocol: 'graph', userId: user, credential },
        import: { schedule: null },
        limits: { perMinute: null },
      },
    });
  }, 120_000);

  afterAll(async () => {
    await mailroom?.stop();
    await server?.stop();
    await dovecot?.remove();
  }, 60_000);

  const keys = new Map<string, (typeof accounts)[number]>();

  /** Hands mails in until they are answered, always under the same key. */
  async function post(): Promise<void> {
    const fresh = accounts.flatMap((account) =>
      Array.from({ length: mailConcurrency[account] }, () => {
        const key = `${account}-${keys.size}`;
        keys.set(key, account);
        return { key, account };
      }),
    );
    await Promise.all(fresh.map(({ key, account }) => postOne(key, account)));
  }

  async function postOne(key: string, account: string): Promise<string> {
    const text = `Nachricht ${key}. `.repeat(5 + Math.floor(chance() * 3_000));
    const texts = known.get(key) ?? text;
    known.set(key, texts);
    const headers = { 'idempotency-key': key, ...(chance() < 0.3 ? { prefer: 'wait=2' } : {}) };
    for (;;) {
      try {
        const { json } = await mailroom.expect([200, 202], 'POST', `/api/accounts/${account}/messages`, {
          body: { to: 'partner@example.org', subject: key, text: texts },
          headers,
        });
        return json.id;
      } catch {
        // Killed, or the key is still held by a request of a process that is gone.
        await delay(500);
      }
    }
  }
  const known = new Map<string, string>();

  it('every mail is received once, or recorded as uncertain; all records, copies and events are true', {
    timeout: 45 * 60_000,
  }, async () => {
    const posts: Promise<void>[] = [];
    let stopped = 0;
    let killed = 0;
    const stopping = async (beside: Beside, firstMs: number) => {
      await delay(firstMs);
      for (let stop = 0; stop < stops / 2; stop += 1) {
        posts.push(post());
        await delay(chance() * 1_500);
        process.kill(beside.pid, 'SIGSTOP');
        await delay(stopMs);
        process.kill(beside.pid, 'SIGCONT');
        stopped += 1;
      }
    };
    const besides = await Promise.all([mailroom.beside(), mailroom.beside()]);
    const stopsDone = Promise.all(besides.map((beside, n) => stopping(beside, n * (stopMs / 2))));
    let recovering = true;
    const recovery = (async () => {
      while (recovering) {
        await mailroom.fire('outbox-recovery').catch(() => undefined);
        await delay(10_000);
      }
    })();
    for (; killed < kills; killed += 1) {
      posts.push(post());
      await delay(chance() * 2_500);
      await mailroom.kill();
      await mailroom.run();
      await delay(10_000);
    }
    await stopsDone;
    await Promise.all(posts);
    // Whoever asks again gets the same mail.
    const ids = new Set(await Promise.all([...keys].map(([key, account]) => postOne(key, account))));
    expect(ids.size).toBe(keys.size);
    const connectionString = mailroom.azurite.connectionString;
    await until('nothing open', 1_200, async () => {
      const { open } = await readOutbox(connectionString);
      if (open.length > 0) await delay(5_000);
      return open.length === 0;
    });
    recovering = false;
    await recovery;

    const outbox = await readOutbox(connectionString);
    expect(outbox.messages.map(({ id }) => id).sort()).toEqual([...ids].sort());
    const received = countsOf([
      ...server.mails.filter(({ recipients }) => recipients.length > 0).map(({ text }) => messageIdIn(text)),
      ...(await folderOf('appended', 'INBOX')),
      ...mailroom.graph.sent(user).map(({ messageId }) => messageId),
    ]);
    const copied = countsOf(await folderOf('copied', 'Sent'));
    const wrong = untruths(outbox, await readEvents(connectionString), {
      received: ({ messageId }: StoredMessage) => received(messageId),
      copied: ({ messageId }: StoredMessage) => copied(messageId),
    });
    expect(wrong).toEqual([]);
    const ends: Record<string, number> = {};
    for (const { account, status } of outbox.messages) {
      ends[`${account} ${status}`] = (ends[`${account} ${status}`] ?? 0) + 1;
    }
    console.info(JSON.stringify({ mails: keys.size, killed, stopped, ends, blobs: outbox.blobs.length }));
    // Doubt is for the few that were about to end.
    for (const account of accounts) expect(ends[`${account} sent`]).toBeGreaterThan(20);

    // Retention finds every blob, also those of requests that were cut before their record.
    for (const beside of besides) await beside.kill();
    await mailroom.kill();
    await mailroom.run({ shiftMs: 40 * day });
    await mailroom.fireToEnd('retention');
    const later = await readOutbox(connectionString);
    expect(later.blobs).toEqual([]);
    expect(later.messages).toHaveLength(keys.size);
  });
});

function messageIdIn(text: Buffer): string {
  return /^Message-ID:\s*(<[^>]*>)/im.exec(text.toString('latin1'))?.[1] ?? 'none';
}

async function folderOf(name: string, folder: string): Promise<string[]> {
  const client = await dovecot.client(name);
  try {
    return (await mailsIn(client, folder)).map(({ bytes }) => messageIdIn(bytes));
  } finally {
    await client.close();
  }
}

function countsOf(messageIds: readonly (string | undefined)[]): (messageId: string) => number {
  const counts = new Map<string, number>();
  for (const id of messageIds) if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  return (messageId) => counts.get(messageId) ?? 0;
}
