import { afterEach, describe, expect, it } from 'vitest';
import { pop3Store } from '../../../test/support/pop3-fixture.ts';
import {
  type Pop3Script,
  type ScriptedPop3,
  type ScriptedPop3Options,
  startScriptedPop3,
  usualCapabilities,
} from '../../../test/support/scripted-pop3.ts';
import { allMails, contentBytes, fetchAll, mail, never } from '../../../test/support/store-helpers.ts';
import type { MailContent } from '../mail-content.ts';
import type { StoreError, StoreSession } from '../store.ts';

/** What is made of answers that no good server gives. */
describe('odd answers of a POP3 server', () => {
  let server: ScriptedPop3 | undefined;
  let session: StoreSession | undefined;
  afterEach(async () => {
    await session?.close();
    await server?.stop();
    session = undefined;
    server = undefined;
  });

  const storeOf = async (options: ScriptedPop3Options, settings: Readonly<Record<string, unknown>> = {}) => {
    server = await startScriptedPop3(options);
    return pop3Store({ port: server.port, tls: { starttls: 'never' }, timeout: 1_500, ...settings });
  };
  const open = async (options: ScriptedPop3Options) => {
    session = await (await storeOf(options)).open({ signal: never });
    return session;
  };
  const openFailure = async (script: Pop3Script, more: ScriptedPop3Options = {}): Promise<StoreError> =>
    (await storeOf({ script, ...more })).open({ signal: never }).then(
      () => expect.unreachable('it must not open'),
      (error: StoreError) => error,
    );
  const listed = (from: StoreSession, details = false) =>
    allMails(from.list('INBOX', { signal: never, pageSize: 10, details }));
  const contents = async (from: StoreSession, headersOnly = false): Promise<MailContent[]> => {
    const found: MailContent[] = [];
    for await (const { content } of from.fetch(await listed(from), { signal: never, headersOnly })) found.push(content);
    return found;
  };
  const mails = (...subjects: readonly string[]) =>
    subjects.map((subject) => ({ uidl: `id-${subject}`, bytes: mail(subject) }));

  it('says that all was asked for before the first has come: more may be asked for behind it', async () => {
    const from = await open({ mails: mails('one') });
    const order: string[] = [];
    const asked = () => void order.push('asked');
    for await (const { content } of from.fetch(await listed(from), { signal: never, asked })) order.push(content.kind);
    expect(order.slice(0, order.indexOf('bytes'))).toContain('asked');
  });

  it('asks for nothing that nobody waits for any more', async () => {
    const from = await open({ mails: mails('one') });
    const wanted = await listed(from);
    for await (const _ of from.fetch(wanted, { signal: never, limit: AbortSignal.abort() })) expect.unreachable();
    expect(server?.lines().filter((line) => line.startsWith('RETR'))).toEqual([]);
  });

  it.each([
    ['-ERR [AUTH] no', 'signIn'],
    ['-ERR unknown user name or bad password', 'signIn'],
    ['-ERR [IN-USE] locked', 'connection'],
    ['-ERR maildrop already locked', 'connection'],
    ['-ERR [LOGIN-DELAY] wait', 'throttled'],
    ['-ERR [SYS/TEMP] later', 'connection'],
    ['-ERR [SYS/PERM] see the administrator', 'permission'],
    ['-ERR Too many connections', 'throttled'],
    ['-ERR Temporary authentication failure', 'connection'],
    ['-ERR Plaintext authentication disallowed on non-secure (SSL/TLS) connections', 'permission'],
  ])('takes %s to the password for what it is', async (answer, kind) => {
    const error = await openFailure({ PASS: () => `${answer}\r\n` });
    expect(error).toMatchObject({ name: 'StoreError', kind });
    expect(error.hint).toBeTruthy();
  });

  it('believes a server that marks refused credentials: without the mark it is another trouble (RFC 3206)', async () => {
    const capabilities = [...usualCapabilities, 'AUTH-RESP-CODE'];
    expect(await openFailure({ PASS: () => '-ERR no\r\n' }, { capabilities })).toMatchObject({ kind: 'connection' });
    await server?.stop();
    expect(await openFailure({ PASS: () => '-ERR [AUTH] no\r\n' }, { capabilities })).toMatchObject({ kind: 'signIn' });
  });

  it('says how long the server wants to be left alone', async () => {
    const capabilities = [...usualCapabilities, 'LOGIN-DELAY 900'];
    const error = await openFailure({ PASS: () => '-ERR [LOGIN-DELAY] no\r\n' }, { capabilities });
    expect(error).toMatchObject({ kind: 'throttled', retryAfterMs: 900_000 });
  });

  it.each([
    ['* OK IMAP4rev1 Service Ready\r\n', 'protocol'],
    ['220 mail.example.com ESMTP\r\n', 'protocol'],
    [`+OK ${'x'.repeat(20_000)}`, 'protocol'],
    ['-ERR too many connections from your address\r\n', 'throttled'],
    ['-ERR [SYS/TEMP] going down\r\n', 'connection'],
    ['cut', 'connection'],
  ])('takes a greeting of %j for what it is', async (greeting, kind) => {
    const error = await openFailure({ GREETING: () => greeting });
    expect(error).toMatchObject({ name: 'StoreError', kind });
    expect(error.hint).toBeTruthy();
    expect(error.message.length).toBeLessThan(400);
  });

  it.each(['GREETING', 'CAPA', 'USER', 'PASS', 'STAT', 'UIDL'])('gives up when it goes silent: %s', async (moment) => {
    const error = await openFailure({ [moment]: () => 'silent' });
    expect(error).toMatchObject({ kind: 'connection', code: 'ETIMEDOUT' });
    await expect.poll(() => server?.open()).toBe(0);
  });

  it.each(['LIST', 'TOP', 'RETR', 'DELE', 'QUIT'])('gives up when it goes silent: %s', async (moment) => {
    const from = await open({ mails: mails('one'), script: { [moment]: () => 'silent' } });
    const work = async () => {
      const [one] = await listed(from, true);
      if (!one) throw new Error('nothing was listed');
      await fetchAll(from, [one]);
      const deletion = { action: 'delete', mode: 'permanent' } as const;
      await from.dispose([one], deletion, { signal: never, verify: false });
    };
    await expect(work()).rejects.toMatchObject({ kind: 'connection', code: 'ETIMEDOUT' });
    expect(server?.mails).toHaveLength(1);
  });

  it('has no limit of its own with 0, and still ends with the signal', async () => {
    const store = await storeOf({ script: { UIDL: () => 'silent' } }, { timeout: 0, connectionTimeout: 0 });
    const controller = new AbortController();
    const opening = store.open({ signal: controller.signal });
    await expect.poll(() => server?.lines()).toContain('UIDL');
    controller.abort();
    await expect(opening).rejects.toMatchObject({ kind: 'connection', code: 'ABORT_ERR' });
    await expect.poll(() => server?.open()).toBe(0);
  });

  const badListings: readonly (readonly [string, Pop3Script])[] = [
    ['counts more mails than it lists', { STAT: () => '+OK 3 100\r\n' }],
    ['lists one number twice', { STAT: () => '+OK 2 9\r\n', UIDL: () => '+OK\r\n1 a\r\n1 b\r\n.\r\n' }],
    ['lists what makes no sense', { UIDL: () => '+OK\r\nhello\r\n.\r\n' }],
    ['counts what makes no sense', { STAT: () => '+OK many\r\n' }],
    ['answers what makes no sense', { UIDL: () => 'OK\r\n' }],
  ];
  it.each(badListings)('says protocol where it %s (trap: "gone" concluded from a bad answer)', async (_, script) => {
    expect(await openFailure(script, { mails: mails('one') })).toMatchObject({ kind: 'protocol' });
  });

  it('knows neither CAPA nor TOP: headers come by RETR, one command at a time', async () => {
    const body = 'z'.repeat(70);
    const long = { uidl: 'long', bytes: mail('long', `${body}\r\n`.repeat(60_000)) };
    const from = await open({
      capabilities: undefined,
      mails: [...mails('one'), long, ...mails('two')],
      script: { TOP: () => '-ERR unknown command\r\n' },
    });
    expect((await listed(from, true)).map(({ subject }) => subject)).toEqual(['one', 'long', 'two']);
    const headers = await contents(from, true);
    for (const content of headers) expect((await contentBytes(content)).toString()).not.toContain(body);
    expect(headers.map(({ kind }) => kind)).toEqual(['bytes', 'bytes', 'bytes']);
    // A long mail cannot be broken off: each time the session was left and another begun.
    expect(server?.sessions()).toBeGreaterThan(2);
    expect(server?.mails).toHaveLength(3);
  });

  it('never takes half a mail for a whole one', async () => {
    const from = await open({ mails: mails('one'), script: { RETR: () => '+OK\r\nSubject: one\r\n\r\nhalf' } });
    await expect(contents(from)).rejects.toMatchObject({ name: 'StoreError', kind: 'connection' });
  });

  it('one mail that the server does not give is that mail’s trouble', async () => {
    const script = {
      RETR: (line: string) =>
        line === 'RETR 2' ? '-ERR cannot open message\r\n' : line === 'RETR 3' ? '+OK\r\n.\r\n' : 'ordinary',
    } as const;
    const from = await open({ mails: mails('1', '2', '3', '4'), script });
    expect((await contents(from)).map(({ kind }) => kind)).toEqual(['bytes', 'broken', 'broken', 'bytes']);
  });

  it('a passing trouble of the server is no mail’s attempt', async () => {
    const from = await open({ mails: mails('1'), script: { RETR: () => '-ERR [SYS/TEMP] disk away\r\n' } });
    expect(await contents(from)).toMatchObject([{ kind: 'broken', code: 'SYS/TEMP', refusal: 'passing' }]);
  });

  it('a mail far larger than the server counts is streamed, and those behind it come too', async () => {
    const large = { uidl: 'large', bytes: mail('large', `${'w'.repeat(70)}\r\n`.repeat(40_000)) };
    const from = await open({
      mails: [...mails('1'), large, ...mails('2')],
      script: { LIST: (line) => `+OK ${line.split(' ')[1]} 400\r\n` },
    });
    const fetched = await fetchAll(from, await listed(from));
    const bytes = new Map(fetched.map((one) => [one.mail.source.item, one.bytes]));
    expect([...bytes.keys()].sort()).toEqual(['id-1', 'id-2', 'large']);
    expect(bytes.get('large')?.equals(large.bytes)).toBe(true);
  });

  it('a stream that is not read to its end frees the session for others', async () => {
    const large = { uidl: 'large', bytes: mail('large', `${'w'.repeat(70)}\r\n`.repeat(40_000)) };
    const from = await open({ mails: [large, ...mails('1')] });
    const [big, small] = await listed(from);
    if (!big || !small) throw new Error('nothing was listed');
    for await (const { content } of from.fetch([big], { signal: never })) {
      if (content.kind !== 'stream') throw new Error('not a stream');
      content.stream.destroy();
    }
    for await (const _ of from.fetch([big], { signal: never })) break;
    expect((await fetchAll(from, [small])).length).toBe(1);
    expect((await fetchAll(from, [big]))[0]?.bytes.equals(large.bytes)).toBe(true);
  });

  it('goes on in a new session when the server has closed an idle one', async () => {
    const from = await open({ mails: mails('1') });
    const list = await listed(from);
    server?.cut();
    await expect.poll(() => server?.open()).toBe(0);
    expect(await fetchAll(from, list)).toHaveLength(1);
    expect(server?.sessions()).toBe(2);
  });

  it('an abort in the middle ends at once and deletes nothing', async () => {
    const controller = new AbortController();
    const from = await open({ mails: mails('1', '2'), script: { QUIT: () => 'silent' } });
    const list = await listed(from);
    const deletion = { action: 'delete', mode: 'permanent' } as const;
    const deleting = from.dispose(list, deletion, { signal: controller.signal, verify: true });
    await expect.poll(() => server?.lines()).toContain('QUIT');
    controller.abort();
    await expect(deleting).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(server?.mails).toHaveLength(2);
  });

  it('marks and moves nothing, and has one folder', async () => {
    const from = await open({ mails: mails('1') });
    const list = await listed(from);
    const options = { signal: never, verify: true };
    await expect(from.dispose(list, { action: 'markRead' }, options)).rejects.toMatchObject({ code: 'NOT_ABLE' });
    await expect(from.dispose(list, { action: 'delete', mode: 'trash' }, options)).rejects.toMatchObject({
      code: 'NOT_ABLE',
    });
    await expect(from.scope('Archive', never)).rejects.toMatchObject({ kind: 'folderMissing' });
  });
});
