import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { pop3Store } from '../../../test/support/pop3-fixture.ts';
import {
  type ScriptedMail,
  type ScriptedPop3,
  type ScriptedPop3Options,
  startScriptedPop3,
} from '../../../test/support/scripted-pop3.ts';
import { allMails, fetchAll, mail, never } from '../../../test/support/store-helpers.ts';
import type { ChangePage, Checkpoint, Disposal, ListedMail, StoreSession } from '../store.ts';

const deletion: Disposal = { action: 'delete', mode: 'permanent' };
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('what names a mail on POP3, and what is deleted', () => {
  let server: ScriptedPop3;
  const sessions: StoreSession[] = [];
  afterEach(async () => {
    await Promise.all(sessions.splice(0).map((session) => session.close()));
    await server.stop();
  });

  const start = async (options: ScriptedPop3Options) => {
    server = await startScriptedPop3(options);
  };
  const open = async (deletesImmediately = false) => {
    const settings = { port: server.port, tls: { starttls: 'never' }, timeout: 2_000 };
    const session = await pop3Store(settings, { deletesImmediately }).open({ signal: never });
    sessions.push(session);
    return session;
  };
  const close = async () => {
    await Promise.all(sessions.splice(0).map((session) => session.close()));
  };
  const list = (session: StoreSession) => allMails(session.list('INBOX', { signal: never, pageSize: 3 }));
  const round = async (session: StoreSession, checkpoint?: Checkpoint) => {
    const pages: ChangePage[] = [];
    for await (const page of session.changes('INBOX', checkpoint, { signal: never, pageSize: 10 })) pages.push(page);
    return { mails: pages.flatMap((page) => page.mails), checkpoint: pages.at(-1)?.checkpoint };
  };
  const items = (mails: readonly ListedMail[]) => mails.map(({ source }) => source.item);
  const dispose = (session: StoreSession, mails: readonly ListedMail[], verify = true) =>
    session.dispose(mails, deletion, { signal: never, verify });
  const left = () => server.mails.map(({ bytes }) => /Subject: (.*)/.exec(bytes.toString())?.[1]);
  const mails = (...subjects: readonly string[]): ScriptedMail[] =>
    subjects.map((subject) => ({ uidl: `id-${subject}`, bytes: mail(subject) }));

  it('the message number is never an id: ids stay when numbers move (trap)', async () => {
    await start({ mails: mails('1', '2', '3', '4') });
    const before = await list(await open());
    await close();
    server.mails.splice(0, 2);
    const session = await open();
    expect(items(await list(session))).toEqual(items(before).slice(2));
    expect(await dispose(session, before.slice(1, 3))).toEqual(['gone', 'done']);
    expect(left()).toEqual(['4']);
  });

  it('deletes are committed in small batches, each by a QUIT of its own (trap)', async () => {
    await start({ mails: mails(...Array.from({ length: 60 }, (_, n) => `${n}`)) });
    const session = await open();
    const listed = await list(session);
    const outcomes = await dispose(
      session,
      listed.filter((_, n) => n % 10 !== 3),
    );
    expect(outcomes.every((outcome) => outcome === 'done')).toBe(true);
    expect(left()).toEqual(['3', '13', '23', '33', '43', '53']);
    const lines = server.lines();
    const perQuit = lines
      .join('\n')
      .split('QUIT')
      .map((part) => part.split('DELE ').length - 1);
    expect(Math.max(...perQuit)).toBeLessThanOrEqual(25);
    expect(server.sessions()).toBe(3);
  });

  it('a line that drops before QUIT is answered has deleted nothing, and nothing is said to be done (trap)', async () => {
    let cuts = 1;
    await start({ mails: mails('1', '2'), script: { QUIT: () => (cuts-- > 0 ? 'cut' : 'ordinary') } });
    const session = await open();
    const listed = await list(session);
    await expect(dispose(session, listed)).rejects.toMatchObject({ name: 'StoreError', kind: 'connection' });
    expect(left()).toEqual(['1', '2']);
    expect(await dispose(session, listed)).toEqual(['done', 'done']);
    expect(left()).toEqual([]);
  });

  it('a QUIT that the server refuses is not done either', async () => {
    await start({ mails: mails('1'), script: { QUIT: () => '-ERR some deleted messages not removed\r\n' } });
    const session = await open();
    const listed = await list(session);
    await expect(dispose(session, listed)).rejects.toMatchObject({ name: 'StoreError' });
  });

  it('a deletion that fails in the middle is never made up for by the farewell', async () => {
    await start({ mails: mails('1', '2', '3'), script: { DELE: (line) => (line === 'DELE 3' ? 'cut' : 'ordinary') } });
    const session = await open();
    await expect(dispose(session, await list(session))).rejects.toMatchObject({ kind: 'connection' });
    await close();
    expect(left()).toEqual(['1', '2', '3']);
  });

  it('what the server does not delete is refused, each mail for itself', async () => {
    let refused = 'DELE 1';
    await start({
      mails: mails('1', '2'),
      script: { DELE: (line) => (line.startsWith(refused) ? '-ERR read-only\r\n' : 'ordinary') },
    });
    const session = await open();
    const listed = await list(session);
    const kept = { refused: expect.objectContaining({ name: 'StoreError', kind: 'permission' }) };
    expect(await dispose(session, listed)).toEqual([kept, 'done']);
    refused = 'DELE';
    expect(await dispose(session, listed.slice(0, 1))).toEqual([kept]);
    expect(left()).toEqual(['1']);
  });

  it('a mail whose size is reported anew, or not at all, is known by its content, and another one is left alone', async () => {
    let anew = false;
    const reported: Readonly<Record<string, string>> = { 'LIST 1': '+OK 1 99999\r\n', 'LIST 2': '-ERR not now\r\n' };
    await start({
      mails: mails('1', '2', '3', '4'),
      script: {
        LIST: (line) => (anew && reported[line]) || 'ordinary',
        RETR: (line) => (anew && line === 'RETR 4' ? '-ERR it cannot be read\r\n' : 'ordinary'),
      },
    });
    const listed = await list(await open());
    const targets = listed.map((one, n) => ({ ...one, sha256: sha256(server.mails[n]?.bytes ?? Buffer.alloc(0)) }));
    await close();
    anew = true;
    server.mails.splice(2, 2, { uidl: 'id-3', bytes: mail('another') }, { uidl: 'id-4', bytes: mail('unreadable') });
    const session = await open();
    const noAnswer = { refused: expect.objectContaining({ name: 'StoreError', code: 'NO_ANSWER' }) };
    expect(await session.dispose(targets, deletion, { signal: never, verify: true })).toEqual([
      'done',
      'done',
      'mismatch',
      noAnswer,
    ]);
    expect(left()).toEqual(['another', 'unreadable']);
  });

  it('a passing trouble of the server gives up no deletion: nothing is deleted, and the next try deletes all', async () => {
    let troubles = 1;
    const script = {
      DELE: (line: string) =>
        line === 'DELE 2' && troubles-- > 0 ? '-ERR [SYS/TEMP] index busy\r\n' : ('ordinary' as const),
    };
    await start({ mails: mails('1', '2', '3'), script });
    const session = await open();
    const listed = await list(session);
    await expect(dispose(session, listed)).rejects.toMatchObject({ kind: 'connection', code: 'SYS/TEMP' });
    expect(left()).toEqual(['1', '2', '3']);
    expect(await dispose(session, listed)).toEqual(['done', 'done', 'done']);
    expect(left()).toEqual([]);
  });

  it('leaving deletes nothing, takes back what reading marks, and ends the socket', async () => {
    await start({ mails: mails('1') });
    const session = await open();
    await fetchAll(session, await list(session));
    await close();
    expect(server.lines().slice(-2)).toEqual(['RSET', 'QUIT']);
    expect(left()).toEqual(['1']);
    await expect.poll(() => server.open()).toBe(0);
  });

  it('signs in again while the server still holds its own last session, and says so of another’s', async () => {
    let busy = 2;
    await start({
      mails: mails('1', '2'),
      script: {
        PASS: (_, { nth }) => (nth > 1 && busy-- > 0 ? '-ERR [IN-USE] locked\r\n' : 'ordinary'),
      },
    });
    const session = await open();
    const listed = await list(session);
    expect(await dispose(session, listed.slice(0, 1))).toEqual(['done']);
    expect(await dispose(session, listed.slice(1))).toEqual(['done']);
    await close();
    const held = await open();
    await expect(open()).rejects.toMatchObject({ kind: 'connection', code: 'IN-USE' });
    await held.close();
  });

  it('an idle poll costs a sign-in and one listing', async () => {
    await start({ mails: mails('1', '2', '3') });
    const first = await open();
    const { checkpoint } = await round(first);
    await close();
    const from = server.lines().length;
    const session = await open();
    expect((await round(session, checkpoint)).mails).toEqual([]);
    await close();
    expect(server.lines().slice(from)).toEqual(['CAPA', 'USER tester', 'PASS secret', 'STAT', 'UIDL', 'QUIT']);
  });

  it('a round after the first sees what has arrived since', async () => {
    await start({ mails: mails('1') });
    const session = await open();
    await session.scope('INBOX', never);
    const { checkpoint } = await round(session);
    server.mails.push(...mails('2'));
    await session.scope('INBOX', never);
    expect(items((await round(session, checkpoint)).mails)).toEqual(['id-2']);
  });

  it('says when mails arrived by their topmost Received field', async () => {
    const received = Buffer.from('Received: from a by b; Thu, 01 Jan 2026 10:00:00 +0000\r\n');
    const [one, two] = mails('1', '2');
    if (!one || !two) throw new Error('no mails');
    await start({ mails: [{ ...one, bytes: Buffer.concat([received, one.bytes]) }, two] });
    const session = await open();
    const listed = await list(session);
    const times = await session.receivedTimes?.(listed, never);
    expect(listed.map((each) => times?.get(each))).toEqual([Date.UTC(2026, 0, 1, 10), undefined]);
  });

  describe('a UIDL that several mails have', () => {
    const [a, b, c] = [mail('a'), mail('b'), mail('c')];
    const twins = [
      { uidl: 'x', bytes: a },
      { uidl: 'y', bytes: c },
      { uidl: 'x', bytes: b },
    ];

    it('they are distinguished by content, whatever their numbers, and each is fetched as itself', async () => {
      await start({ mails: twins });
      const session = await open();
      const listed = await list(session);
      expect(items(listed)).toEqual(['y', `x ${sha256(a)}`, `x ${sha256(b)}`]);
      await close();
      server.mails.reverse();
      const again = await open();
      expect(items(await list(again)).sort()).toEqual(items(listed).sort());
      const fetched = await fetchAll(again, listed);
      const names = fetched.map(({ mail: { source }, bytes }) => [source.item, sha256(bytes)]);
      expect(Object.fromEntries(names)).toEqual({
        y: sha256(c),
        [`x ${sha256(a)}`]: sha256(a),
        [`x ${sha256(b)}`]: sha256(b),
      });
    });

    it('the right one is deleted, also when the other is gone by then', async () => {
      await start({ mails: twins });
      const session = await open();
      const [, one, two] = await list(session);
      if (!one || !two) throw new Error('not listed');
      expect(await dispose(session, [two], false)).toEqual(['done']);
      expect(left()).toEqual(['a', 'c']);
      // What is left has the UIDL for itself, and is still not the other one.
      expect(await dispose(session, [two], false)).toEqual(['gone']);
      expect(await dispose(session, [one], false)).toEqual(['done']);
      expect(left()).toEqual(['c']);
    });

    it('an id of a time when it was one mail’s alone names none of them for certain', async () => {
      await start({ mails: twins.slice(0, 1) });
      const [alone] = await list(await open());
      if (!alone) throw new Error('not listed');
      await close();
      server.mails.push(...twins.slice(1));
      const session = await open();
      expect(await dispose(session, [alone], false)).toEqual(['mismatch']);
      expect(left()).toEqual(['a', 'c', 'b']);
    });

    it('the same mail lying there twice is one mail, and is deleted as one', async () => {
      await start({ mails: [...twins, { uidl: 'x', bytes: a }] });
      const session = await open();
      const listed = await list(session);
      expect(items(listed)).toEqual(['y', `x ${sha256(a)}`, `x ${sha256(b)}`]);
      expect(await dispose(session, listed.slice(1, 2))).toEqual(['done']);
      expect(left()).toEqual(['c', 'b']);
    });
  });

  describe('a server without UIDL', () => {
    const script = { UIDL: () => '-ERR unknown command\r\n' } as const;
    const capabilities = ['TOP', 'USER', 'PIPELINING'];

    it('is refused with a hint, unless the account deletes at once', async () => {
      await start({ mails: mails('1'), script, capabilities });
      await expect(open()).rejects.toMatchObject({
        kind: 'permission',
        code: 'NO_UIDL',
        hint: expect.stringContaining('immediately'),
      });
      await expect.poll(() => server.open()).toBe(0);
    });

    it.each([capabilities, undefined])(
      'is taken by an account that does: mails are named by content',
      async (words) => {
        await start({ mails: mails('1', '2', '3', '4', '5'), script, capabilities: words });
        const session = await open(true);
        const listed = await list(session);
        expect(items(listed)).toEqual(server.mails.map(({ bytes }) => ` ${sha256(bytes)}`));
        const fetched = await fetchAll(session, listed);
        expect(fetched.map(({ bytes }) => ` ${sha256(bytes)}`)).toEqual(items(listed));
        expect(await dispose(session, [...listed.slice(0, 2), ...listed.slice(4)])).toEqual(['done', 'done', 'done']);
        expect(left()).toEqual(['3', '4']);
        expect(await dispose(session, listed.slice(3, 4))).toEqual(['done']);
        expect(left()).toEqual(['3']);
      },
    );

    it('pages go on over the sign-ins that deletes ask for, and bring each mail once', async () => {
      await start({ mails: mails(...Array.from({ length: 10 }, (_, n) => `${n}`)), script, capabilities });
      const session = await open(true);
      const seen: string[] = [];
      for await (const page of session.changes('INBOX', undefined, { signal: never, pageSize: 3 })) {
        seen.push(...items(page.mails));
        // One of each page stays, as a mail would that is too large.
        if (page.mails.length > 0) await dispose(session, page.mails.slice(1));
      }
      expect(new Set(seen).size).toBe(10);
      expect(seen).toHaveLength(10);
      expect(left()).toEqual(['0', '3', '6', '9']);
    });

    it('a round ends also where the server gives other octets in each session', async () => {
      let asked = 0;
      const changing = { ...script, RETR: () => `+OK\r\nSubject: ${asked++}\r\n\r\n.\r\n` };
      await start({ mails: mails('1', '2', '3'), script: changing, capabilities });
      const session = await open(true);
      const seen: string[] = [];
      for await (const page of session.changes('INBOX', undefined, { signal: never, pageSize: 1 })) {
        seen.push(...items(page.mails));
        expect(seen.length).toBeLessThan(10);
        server.cut();
        await expect.poll(() => server.open()).toBe(0);
      }
      expect(seen).toHaveLength(3);
    });

    it('a UIDL that fails for now is not taken for none: mail would come again under another name', async () => {
      await start({ mails: mails('1'), script: { UIDL: () => '-ERR [SYS/TEMP] later\r\n' } });
      await expect(open(true)).rejects.toMatchObject({ kind: 'connection', code: 'SYS/TEMP' });
      await server.stop();
      await start({ mails: mails('1'), script: { UIDL: () => '-ERR cannot do that\r\n' } });
      await expect(open(true)).rejects.toMatchObject({ kind: 'protocol' });
    });

    it('a mail with an id that cannot be one is named by its content, and stops nobody', async () => {
      const [one, two] = mails('1', '2');
      if (!one || !two) throw new Error('no mails');
      await start({ mails: [{ ...one, uidl: '' }, two] });
      expect(items(await list(await open()))).toEqual(['id-2', ` ${sha256(one.bytes)}`]);
    });
  });
});
