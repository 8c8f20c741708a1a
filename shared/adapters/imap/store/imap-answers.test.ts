import { afterEach, describe, expect, it, vi } from 'vitest';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { type ImapScript, type ScriptedImap, startScriptedImap } from '../../../../test/support/scripted-imap.ts';
import { allMails, contentBytes, never } from '../../../../test/support/store-helpers.ts';
import type { MailContent } from '../../mail-content.ts';
import type { StoreError, StoreSession } from '../../store.ts';

/** What an account's settings make of answers that no good server gives. */
describe('odd answers of an IMAP server', () => {
  let server: ScriptedImap | undefined;
  let session: StoreSession | undefined;
  afterEach(async () => {
    await session?.close();
    await server?.stop();
    session = undefined;
    server = undefined;
  });

  const storeOf = async (script: ImapScript, settings: Readonly<Record<string, unknown>> = {}) => {
    server = await startScriptedImap(script);
    return imapStore({ port: server.port, tls: { starttls: 'never' }, timeout: 1_500, ...settings });
  };
  const open = async (script: ImapScript, settings: Readonly<Record<string, unknown>> = {}) => {
    session = await (await storeOf(script, settings)).open({ signal: never });
    return session;
  };
  const openFailure = async (script: ImapScript): Promise<StoreError> =>
    (await storeOf(script)).open({ signal: never }).then(
      () => expect.unreachable('it must not open'),
      (error: StoreError) => error,
    );
  const listed = async (from: StoreSession) => allMails(from.list('INBOX', { signal: never, pageSize: 10 }));
  const contentOf = async (from: StoreSession): Promise<MailContent | undefined> => {
    for await (const { content } of from.fetch(await listed(from), { signal: never })) return content;
    return undefined;
  };
  /** Answers listings as an ordinary server and body fetches by `body`. */
  const withBody = (size: number, body: (tag: string, line: string) => string | 'cut' | undefined): ImapScript => ({
    'UID FETCH': (tag, line) =>
      line.includes('BODY') ? body(tag, line) : `* 1 FETCH (UID 1 RFC822.SIZE ${size})\r\n${tag} OK done\r\n`,
  });

  describe('sign-in', () => {
    it.each([
      ['NO [AUTHENTICATIONFAILED] no', 'signIn'],
      ['NO no', 'signIn'],
      ['NO [UNAVAILABLE] later', 'connection'],
      ['NO [INUSE] busy', 'connection'],
      ['NO [LIMIT] enough', 'throttled'],
      ['NO Too many simultaneous connections', 'throttled'],
      ['NO Temporary authentication failure', 'connection'],
      ['NO [PRIVACYREQUIRED] use TLS', 'permission'],
      ['BAD what', 'protocol'],
    ])('takes %s for what it is', async (answer, kind) => {
      const error = await openFailure({ LOGIN: (tag) => `${tag} ${answer}\r\n` });
      expect(error).toMatchObject({ name: 'StoreError', kind });
      expect(error.hint).toBeTruthy();
    });

    it('takes a connection cut during sign-in for a connection', async () => {
      expect(await openFailure({ LOGIN: () => 'cut' })).toMatchObject({ kind: 'connection' });
    });

    it('takes a farewell instead of a greeting for what it says', async () => {
      const error = await openFailure({ GREETING: () => '* BYE Too many connections from your address\r\n' });
      expect(error).toMatchObject({ kind: 'throttled' });
    });

    it('sends no password where the server disables sign-in', async () => {
      const error = await openFailure({
        CAPABILITY: (tag) => `* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n${tag} OK done\r\n`,
      });
      expect(error).toMatchObject({ kind: 'permission', code: 'LOGINDISABLED' });
      expect(server?.commands().join()).not.toContain('secret');
    });
  });

  it.each([
    ['none', ''],
    ['0', '* OK [UIDVALIDITY 0] ok\r\n'],
    ['too large', '* OK [UIDVALIDITY 99999999999] ok\r\n'],
    ['no number', '* OK [UIDVALIDITY abc] ok\r\n'],
  ])('refuses a folder whose UIDVALIDITY is %s (trap: it was stored)', async (_, line) => {
    const from = await open({ EXAMINE: (tag) => `* 1 EXISTS\r\n${line}${tag} OK done\r\n` });
    await expect(from.scope('INBOX', never)).rejects.toMatchObject({ name: 'StoreError', kind: 'protocol' });
  });

  it('knows by the last mail that there is nothing new, where the server gives no UIDNEXT', async () => {
    const from = await open({
      EXAMINE: (tag) => `* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n${tag} OK done\r\n`,
    });
    const pages = [];
    for await (const page of from.changes('INBOX', { uidValidity: 7, lastUid: 1 }, { signal: never, pageSize: 5 })) {
      pages.push(page);
    }
    expect(server?.commands().at(-1)).toBe('FETCH 1 (UID)');
    expect(pages).toEqual([{ mails: [], checkpoint: { uidValidity: 7, lastUid: 1 }, remaining: 0 }]);
  });

  it('does not take one empty answer for an empty folder (trap: a retention state was wiped)', async () => {
    const nothing = { 'UID SEARCH': (tag: string) => `* SEARCH\r\n${tag} OK done\r\n` };
    const from = await open({ ...nothing, 'UID FETCH': (tag) => `${tag} OK done\r\n` });
    await expect(listed(from)).rejects.toMatchObject({ kind: 'protocol', code: 'LISTING' });
  });

  it('opens a folder for reading only as `permission` when flags are to be changed', async () => {
    const from = await open({
      SELECT: (tag) => `* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 2] ok\r\n${tag} OK [READ-ONLY] done\r\n`,
    });
    const targets = (await listed(from)).map(({ source, folder }) => ({ source, folder }));
    const marking = from.dispose(targets, { action: 'markRead' }, { signal: never, verify: false });
    await expect(marking).rejects.toMatchObject({ kind: 'permission' });
  });

  describe('to marking as read', () => {
    const rows = (uids: readonly number[]) =>
      uids.map((uid) => `* ${uid} FETCH (UID ${uid} FLAGS (\\Seen) RFC822.SIZE 24)\r\n`).join('');
    interface Folder {
      /** What STORE tells of mails; by default of all, with the flag. */
      readonly store?: (tag: string, line: string) => string;
      /** Mails that are still there at the second look, by FETCH and by SEARCH. */
      readonly left?: readonly number[];
      readonly search?: readonly number[];
    }
    /** A folder of four mails is marked. */
    const marked = async ({ store, left = [1, 2, 3, 4], search = left }: Folder) => {
      let stored = false;
      const opened = (tag: string) =>
        `* 4 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 5] ok\r\n${tag} OK done\r\n`;
      const from = await open({
        SELECT: opened,
        EXAMINE: opened,
        'UID STORE': (tag, line) => {
          stored = true;
          return store?.(tag, line) ?? `${rows([1, 2, 3, 4])}${tag} OK done\r\n`;
        },
        'UID SEARCH': (tag) => `* SEARCH ${(stored ? search : [1, 2, 3, 4]).join(' ')}\r\n${tag} OK done\r\n`,
        'UID FETCH': (tag) => `${rows(stored ? left : [1, 2, 3, 4])}${tag} OK done\r\n`,
      });
      const targets = (await listed(from)).map(({ source, folder }) => ({ source, folder }));
      const before = server?.commands().length ?? 0;
      const outcomes = await from.dispose(targets, { action: 'markRead' }, { signal: never, verify: false });
      return { outcomes, asked: server?.commands().slice(before) };
    };
    const naming = (uids: readonly number[]) => (tag: string) => `${rows(uids)}${tag} OK done\r\n`;

    it('asks for nothing else where the server tells the flags of all', async () => {
      const { outcomes, asked } = await marked({});
      expect(outcomes).toEqual(['done', 'done', 'done', 'done']);
      expect(asked).toEqual(['SELECT "INBOX"', 'UID STORE 1:4 +FLAGS (\\Seen)']);
    });

    it('looks at those that it leaves out: they were marked before, or are gone', async () => {
      const { outcomes, asked } = await marked({ store: naming([1, 4]), left: [1, 3, 4] });
      expect(outcomes).toEqual(['done', 'gone', 'done', 'done']);
      expect(asked?.slice(2)).toEqual(['UID FETCH 2:3 (UID FLAGS)', 'UID SEARCH UID 2']);
    });

    it.each(['NO a message is gone', 'NO [EXPUNGEISSUED] a message is gone'])(
      'takes a mail for gone, and not for refused, where the server answers %s',
      async (answer) => {
        const names = (line: string) => /UID STORE (\S+)/.exec(line)?.[1] ?? '';
        const store = (tag: string, line: string) =>
          /^(?:1:4|1:2|2)$/.test(names(line)) ? `${tag} ${answer}\r\n` : `${tag} OK done\r\n`;
        const { outcomes } = await marked({ store, left: [1, 3, 4] });
        expect(outcomes).toEqual(['done', 'gone', 'done', 'done']);
      },
    );

    it('looks first where the server takes one that is gone for a folder that is not there', async () => {
      const store = (tag: string, line: string) =>
        line.includes('1:4') ? `${tag} NO [NONEXISTENT] no such message\r\n` : `${tag} OK done\r\n`;
      const { outcomes, asked } = await marked({ store, left: [1, 3, 4] });
      expect(outcomes).toEqual(['done', 'gone', 'done', 'done']);
      expect(asked?.at(-1)).toBe('UID STORE 1,3:4 +FLAGS.SILENT (\\Seen)');
    });

    it('does not take what the server tells of a mail without the flag for an answer', async () => {
      const store = (tag: string) => `* 1 FETCH (UID 1 FLAGS ())\r\n${rows([2, 3, 4])}${tag} OK done\r\n`;
      const { asked } = await marked({ store });
      expect(asked?.at(-1)).toBe('UID FETCH 1 (UID FLAGS)');
    });

    it('never takes a mail for gone that SEARCH still knows', async () => {
      const { outcomes } = await marked({ store: naming([1, 2, 3]), left: [1, 2, 3], search: [1, 2, 3, 4] });
      expect(outcomes).toMatchObject(['done', 'done', 'done', { refused: { code: 'NO_ANSWER' } }]);
    });
  });

  describe('contents', () => {
    it('says that all was asked for before the first has come: more may be asked for behind it', async () => {
      const from = await open({});
      const order: string[] = [];
      const asked = () => void order.push('asked');
      for await (const { content } of from.fetch(await listed(from), { signal: never, asked }))
        order.push(content.kind);
      expect(order.slice(0, order.indexOf('bytes'))).toContain('asked');
    });

    it('asks for nothing that nobody waits for any more', async () => {
      const from = await open({});
      const mails = await listed(from);
      const before = server?.commands().length;
      for await (const _ of from.fetch(mails, { signal: never, limit: AbortSignal.abort() })) expect.unreachable();
      expect(server?.commands().slice(before)).toEqual([]);
    });

    it.each([
      ['NIL', 'BODY[] NIL'],
      ['an empty string', 'BODY[] ""'],
      ['an empty literal', 'BODY[] {0}\r\n'],
    ])('takes %s for broken where the server counts bytes (trap: an empty mail was stored)', async (_, item) => {
      const script = withBody(24, (tag) => `* 1 FETCH (UID 1 ${item})\r\n${tag} OK done\r\n`);
      expect(await contentOf(await open(script))).toMatchObject({ kind: 'broken' });
    });

    it('takes a mail that the server refuses to give, and still lists, for broken', async () => {
      const script = withBody(24, (tag) => `${tag} NO [SERVERBUG] cannot read this one\r\n`);
      const content = await contentOf(await open(script));
      expect(content).toMatchObject({ kind: 'broken' });
      expect(JSON.stringify(content)).not.toContain('cannot read');
    });

    it('takes silence about a mail that is still listed for broken, never for gone', async () => {
      expect(await contentOf(await open(withBody(24, (tag) => `${tag} OK done\r\n`)))).toMatchObject({
        kind: 'broken',
      });
    });

    it('lists a mail whose answer cannot be understood, rather than passing over it', async () => {
      const from = await open({ 'UID FETCH': (tag) => `* 1 FETCH (UID 1 RFC822.SIZE (((\r\n${tag} OK done\r\n` });
      const [only] = await listed(from);
      expect(only?.source.item).toBe('0000000001');
      expect(only?.size).toBeUndefined();
    });

    it('steps over one mail the server stumbles on, and gives the others', async () => {
      const from = await open({
        EXAMINE: (tag) => `* 5 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 6] ok\r\n${tag} OK done\r\n`,
        FETCH: (tag) => `* 5 FETCH (UID 5)\r\n${tag} OK done\r\n`,
        'UID SEARCH': (tag, line) => `* SEARCH ${line.includes('1:5') ? '1 2 3 4 5' : '4'}\r\n${tag} OK done\r\n`,
        'UID FETCH': (tag, line) => {
          const uids = uidsOf(line);
          if (line.includes('BODY') && uids.includes(4)) return `${tag} NO cannot\r\n`;
          const item = line.includes('BODY') ? 'BODY[] {3}\r\nabc' : 'RFC822.SIZE 3';
          return `${uids.map((uid) => `* ${uid} FETCH (UID ${uid} ${item})\r\n`).join('')}${tag} OK done\r\n`;
        },
      });
      const kinds: string[] = [];
      for await (const { content } of from.fetch(await listed(from), { signal: never })) kinds.push(content.kind);
      expect(kinds).toEqual(['bytes', 'bytes', 'bytes', 'broken', 'bytes']);
    });

    it('says of the stream of a mail that it ended before the size the server counts, when it was asked for the rest', async () => {
      const script = withBody(5_000_000, (tag, line) => {
        const from = Number(/<(\d+)\./.exec(line)?.[1]);
        const length = from === 0 ? 1_048_576 : 1_000;
        return `* 1 FETCH (UID 1 BODY[]<${from}> {${length}}\r\n${'z'.repeat(length)})\r\n${tag} OK done\r\n`;
      });
      const content = await contentOf(await open(script));
      if (content?.kind !== 'stream') throw new Error('no stream');
      expect((await contentBytes(content)).length).toBe(1_048_576 + 4 * 1_000);
      expect(content.doubt?.()).toBe('cutShort');
    });

    it('takes the end for the end where the server is known to estimate sizes', async () => {
      const script = withBody(5_000_000, (tag, line) => {
        const from = Number(/<(\d+)\./.exec(line)?.[1]);
        const length = from === 0 ? 1_048_576 : 1_000;
        return `* 1 FETCH (UID 1 BODY[]<${from}> {${length}}\r\n${'z'.repeat(length)})\r\n${tag} OK done\r\n`;
      });
      const greeting = { GREETING: () => '* OK The Microsoft Exchange IMAP4 service is ready.\r\n' };
      const content = await contentOf(await open({ ...script, ...greeting }));
      if (!content) throw new Error('no content');
      expect((await contentBytes(content)).length).toBe(1_049_576);
    });

    it('asks for smaller parts of large mails that are read at one time, and for large ones of one alone', async () => {
      const size = 3_000_000;
      const asked: number[] = [];
      let refuses = false;
      const script = withBody(size, (tag, line) => {
        if (refuses) return `${tag} NO cannot\r\n`;
        const [from = 0, count = 0] = (/<(\d+)\.(\d+)>/.exec(line) ?? []).slice(1).map(Number);
        asked.push(count);
        const length = Math.max(0, Math.min(count, size - from));
        return `* 1 FETCH (UID 1 BODY[]<${from}> {${length}}\r\n${'z'.repeat(length)})\r\n${tag} OK done\r\n`;
      });
      const store = await storeOf(script, { timeout: 60_000 });
      const sessions = await Promise.all(Array.from({ length: 12 }, () => store.open({ signal: never })));
      try {
        const contents = await Promise.all(sessions.map(contentOf));
        asked.length = 0;
        const read = async (content?: MailContent) => (content ? (await contentBytes(content)).length : 0);
        expect(await Promise.all(contents.map(read))).toEqual(sessions.map(() => size));
        expect(Math.max(...asked.slice(0, sessions.length))).toBe(128 << 10);
        // Given up before it was read, or refused, a mail has no part of the memory any more.
        const unread = await Promise.all(sessions.map(contentOf));
        for (const content of unread) if (content?.kind === 'stream') content.stream.destroy();
        refuses = true;
        expect((await Promise.all(sessions.map(contentOf))).map((content) => content?.kind)).toEqual(
          sessions.map(() => 'broken'),
        );
        refuses = false;
        asked.length = 0;
        const [first] = sessions;
        expect(first && (await read(await contentOf(first)))).toBe(size);
        expect(asked.slice(0, 2)).toEqual([1 << 20, 1 << 20]);
      } finally {
        for (const each of sessions) await each.close();
      }
    });

    it('fails the stream, as a connection, when the line is cut in the middle', async () => {
      const script = withBody(5_000_000, (tag, line) =>
        line.includes('<0.')
          ? `* 1 FETCH (UID 1 BODY[]<0> {1048576}\r\n${'z'.repeat(1_048_576)})\r\n${tag} OK\r\n`
          : 'cut',
      );
      const content = await contentOf(await open(script));
      if (!content) throw new Error('no content');
      await expect(contentBytes(content)).rejects.toMatchObject({ name: 'StoreError', kind: 'connection' });
    });

    it('destroys the connection when the signal aborts in the middle of a large mail', async () => {
      const script = withBody(5_000_000, (tag, line) =>
        line.includes('<0.')
          ? `* 1 FETCH (UID 1 BODY[]<0> {1048576}\r\n${'z'.repeat(1_048_576)})\r\n${tag} OK\r\n`
          : undefined,
      );
      const from = await open(script, { timeout: 0 });
      const controller = new AbortController();
      for await (const { content } of from.fetch(await listed(from), { signal: controller.signal })) {
        const reading = contentBytes(content);
        controller.abort();
        await expect(reading).rejects.toMatchObject({ name: 'StoreError', code: 'ABORT_ERR' });
      }
      await expect(from.scope('INBOX', never)).rejects.toMatchObject({ code: 'ABORT_ERR' });
    });
  });

  it('passes on how long a throttled client is to wait, at once', async () => {
    const from = await open({
      EXAMINE: (tag) => `${tag} BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds\r\n`,
    });
    // Waiting would take longer than a test may.
    await expect(from.scope('INBOX', never)).rejects.toMatchObject({ kind: 'throttled', retryAfterMs: 92_415 });
  });

  it('keeps a session that has nothing to ask for longer than its limit for silence', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    try {
      const from = await open({}, { timeout: 60_000 });
      vi.advanceTimersByTime(3_600_000);
      expect(await from.scope('INBOX', never)).toBe('INBOX;7');
    } finally {
      vi.useRealTimers();
    }
  });

  it('reports a farewell in the middle of a session without its words: they may hold what was sent', async () => {
    const from = await open({ EXAMINE: () => '* BYE going down for maintenance\r\n' });
    await expect(from.scope('INBOX', never)).rejects.toMatchObject({
      kind: 'connection',
      message: expect.not.stringContaining('maintenance'),
    });
  });
});

/** The UIDs of a set such as `1:3,5`. */
function uidsOf(line: string): number[] {
  const set = line.split(' ')[3] ?? '';
  return set.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split(':').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}
