import { afterEach, describe, expect, it } from 'vitest';
import {
  eventually,
  frozenMail,
  longBody,
  outcomes,
  sendOptions,
} from '../../../../test/contract/transport.contract.ts';
import { imapTransport } from '../../../../test/support/imap-transport-subject.ts';
import { type ImapScript, type ScriptedImap, startScriptedImap } from '../../../../test/support/scripted-imap.ts';
import type { FrozenMail, MailTransport, ResolveOptions } from '../../transport.ts';

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** Short enough for a test, long enough for a busy machine to answer in. */
const SILENCE_LIMIT = 400;

async function start(
  script: ImapScript,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly server: ScriptedImap; readonly transport: MailTransport }> {
  const server = await startScriptedImap(script);
  const transport = imapTransport({ port: server.port, timeout: SILENCE_LIMIT, ...fields });
  undo.push(
    () => server.stop(),
    () => transport.close(),
  );
  return { server, transport };
}

/** Options of an attempt that keep what it notes. */
function noting() {
  const notes: string[] = [];
  const options = sendOptions({
    remember: async (note) => {
      notes.push(note);
    },
  });
  return { options, notes };
}

describe('a server that falls silent', () => {
  it.each([
    ['at the greeting', { GREETING: () => undefined }],
    ['at the sign-in', { LOGIN: () => undefined }],
    ['when the folder is asked about', { STATUS: () => undefined }],
    ['at APPEND', { APPEND: () => undefined }],
  ])('%s: the mail waits, nothing is committed', async (_when, script) => {
    const { server, transport } = await start(script);
    const options = sendOptions();
    const began = performance.now();
    const receipt = await transport.send(frozenMail(), options);
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ETIMEDOUT' });
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(options.commits()).toBe(0);
    expect(server.literalBytes()).toBe(0);
  });

  it('after the text: uncertain, and not sent again by itself', async () => {
    const { server, transport } = await start({ 'APPEND END': () => undefined });
    const options = sendOptions();
    const receipt = await transport.send(frozenMail({ to: ['a@example.org', 'b@example.org'] }), options);
    expect(outcomes(receipt)).toEqual(['uncertain', 'uncertain']);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ETIMEDOUT' });
    expect(receipt.trouble?.hint).toContain('Message-ID');
    expect(options.commits()).toBe(1);
    expect(server.literals()).toHaveLength(1);
  });

  it('is not blamed for the time that our own storage takes', async () => {
    const { server, transport } = await start({});
    const silent = await start({ GREETING: () => undefined });
    const slow = sendOptions({
      beforeCommit: async () => {
        // Another server is silent for longer than is allowed, and then once more.
        for (let time = 1; time <= 2; time += 1) {
          const receipt = await silent.transport.send(frozenMail(), sendOptions());
          expect(receipt.trouble?.code).toBe('ETIMEDOUT');
        }
      },
    });
    expect(outcomes(await transport.send(frozenMail(), slow))).toEqual(['accepted']);
    expect(server.connections()).toBe(1);
  });
});

describe('a connection that breaks', () => {
  it.each([
    ['at the greeting', { GREETING: () => 'cut' }],
    ['at the sign-in', { LOGIN: () => 'cut' }],
    ['when the folder is asked about', { STATUS: () => 'cut' }],
    ['at APPEND', { APPEND: () => 'cut' }],
  ] as const)('%s: the mail waits', async (_when, script) => {
    const { transport } = await start(script);
    const options = sendOptions();
    const receipt = await transport.send(frozenMail(), options);
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble?.scope).toBe('connection');
    expect(options.commits()).toBe(0);
  });

  it('after the text: uncertain', async () => {
    const { transport } = await start({ 'APPEND END': () => 'cut' });
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['uncertain']);
  });

  it('while it was idle: the mail leaves by a fresh one, once', async () => {
    let stale = false;
    const { server, transport } = await start({
      STATUS: (tag) => {
        if (!stale) return `* STATUS INBOX (UIDVALIDITY 7 UIDNEXT 2)\r\n${tag} OK done\r\n`;
        stale = false;
        return 'cut';
      },
    });
    await transport.send(frozenMail(), sendOptions());
    stale = true;
    const options = sendOptions();
    expect(outcomes(await transport.send(frozenMail(), options))).toEqual(['accepted']);
    expect(options.commits()).toBe(1);
    expect(server.literals()).toHaveLength(2);
    expect(server.connections()).toBe(2);
  });

  it('once the server had asked for the text, no other is tried', async () => {
    let appends = 0;
    const { server, transport } = await start({
      APPEND: () => {
        appends += 1;
        return '+ go on\r\n';
      },
      'APPEND END': (tag) => (appends === 2 ? 'cut' : `${tag} OK done\r\n`),
    });
    await transport.send(frozenMail(), sendOptions());
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['uncertain']);
    expect(appends).toBe(2);
    expect(server.connections()).toBe(1);
  });

  it.each([
    ['an OK to what was not sent', { APPEND: (tag: string) => `${tag} OK done\r\n` }],
    ['an OK before the end', { APPEND: (tag: string) => `+ go on\r\n${tag} OK done\r\n` }],
  ])('%s is no yes', async (_what, script) => {
    const { server, transport } = await start(script);
    // The last bytes would leave only after that OK has come, and ended the connection.
    const never = sendOptions({ beforeCommit: () => eventually('the end', () => server.openConnections() === 0) });
    const receipt = await transport.send(frozenMail({ body: longBody(100_000) }), never);
    expect(outcomes(receipt)).toEqual(['deferred']);
    await eventually('the connection ends', () => server.openConnections() === 0);
    expect(server.literals()).toHaveLength(0);
  });
});

const minutes = (count: number) => count * 60_000;

/** A mailbox as a search after a lost answer may meet it. */
interface Folder {
  /** UIDs with their Message-ID, size and INTERNALDATE, as the server gives them. */
  readonly mails: readonly {
    readonly uid: number;
    readonly id: string;
    readonly size?: number;
    readonly date?: string;
  }[];
  readonly uidNext: number;
  readonly uidValidity?: number;
  /** The HEADER search finds nothing: the server's index lags. */
  readonly blind?: boolean;
}

function folderScript(folder: () => Folder): ImapScript {
  return {
    'APPEND END': () => 'cut',
    EXAMINE: (tag) => {
      const { mails, uidNext, uidValidity = 7 } = folder();
      return `* ${mails.length} EXISTS\r\n* OK [UIDVALIDITY ${uidValidity}] ok\r\n* OK [UIDNEXT ${uidNext}] ok\r\n${tag} OK done\r\n`;
    },
    'UID SEARCH': (tag, line) => {
      const { mails, blind } = folder();
      const [, from = '1', to = '*'] = /UID (\d+):(\d+|\*)/.exec(line) ?? [];
      const id = /HEADER Message-ID "<([^"]*)>"/.exec(line)?.[1];
      const found = mails
        .filter(({ uid }) => uid >= Number(from) && (to === '*' || uid <= Number(to)))
        .filter((mail) => id === undefined || (!blind && mail.id.includes(id)));
      return `* SEARCH ${found.map(({ uid }) => uid).join(' ')}\r\n${tag} OK done\r\n`;
    },
    'UID FETCH': (tag, line) => {
      const wanted = /UID FETCH ([\d,:]+)/.exec(line)?.[1] ?? '';
      const has = (uid: number) =>
        wanted.split(',').some((range) => {
          const [low = 0, high = low] = range.split(':').map(Number);
          return uid >= low && uid <= high;
        });
      const rows = folder()
        .mails.filter(({ uid }) => has(uid))
        .map(({ uid, id, size = 1, date = '01-Jan-2020 00:00:00 +0000' }, index) => {
          const header = `Message-ID: ${id}\r\n\r\n`;
          return `* ${index + 1} FETCH (UID ${uid} RFC822.SIZE ${size} INTERNALDATE "${date}" BODY[HEADER.FIELDS (MESSAGE-ID)]<0> {${header.length}}\r\n${header})\r\n`;
        });
      return `${rows.join('')}${tag} OK done\r\n`;
    },
  };
}

/** Loses the answer to an APPEND into a folder whose UIDNEXT was 2, and then asks what became of it. */
async function lostAppend(after: (mail: FrozenMail) => Folder, fields: Readonly<Record<string, unknown>> = {}) {
  const mail = frozenMail({ to: ['anna@example.org', 'bert@example.org'] });
  const { server, transport } = await start(
    folderScript(() => after(mail)),
    fields,
  );
  const { options, notes } = noting();
  expect(outcomes(await transport.send(mail, options))).toEqual(['uncertain', 'uncertain']);
  expect(notes).toHaveLength(1);
  const resolveUncertain = async (sinceCommitMs: number, changes: Partial<ResolveOptions> = {}) => {
    const receipt = await transport.resolveUncertain?.(mail, {
      signal: AbortSignal.timeout(10_000),
      remember: async () => {},
      sinceCommitMs,
      ...(notes[0] === undefined ? {} : { remembered: notes[0] }),
      ...changes,
    });
    return receipt && { outcomes: outcomes(receipt), code: receipt.trouble?.code };
  };
  return { server, transport, mail, resolveUncertain, note: notes[0] ?? '' };
}

const there = { outcomes: ['accepted', 'accepted'], code: undefined };
const absent = { outcomes: ['deferred', 'deferred'], code: 'NOT_APPENDED' };

describe('an APPEND in doubt (trap: no answer, sent again)', () => {
  it('is resolved as accepted when the Message-ID is found', async () => {
    const { resolveUncertain, server, mail } = await lostAppend(({ messageId: id, size }) => ({
      mails: [{ uid: 2, id, size }],
      uidNext: 3,
    }));
    expect(await resolveUncertain(0)).toEqual(there);
    const search = server.commands().find((command) => command.startsWith('UID SEARCH'));
    expect(search).toBe(`UID SEARCH UID 2:* HEADER Message-ID "${mail.messageId}"`);
    // The folder is looked at, never opened for change; and STATUS is not asked of a folder that is open.
    expect(server.commands().filter((command) => command.startsWith('SELECT'))).toEqual([]);
    expect(server.commands().at(-1)).toBe('LOGOUT');
  });

  it('is resolved as accepted on a server that rebuilt the mail, by its date', async () => {
    const { resolveUncertain } = await lostAppend(({ messageId: id }) => ({
      mails: [{ uid: 2, id, size: 9_999, date: '02-Mar-2026 08:00:00 +0000' }],
      uidNext: 3,
    }));
    expect(await resolveUncertain(0)).toEqual(there);
  });

  it('is not taken for a mail that only contains the Message-ID, is of before, or has other bytes', async () => {
    const { resolveUncertain } = await lostAppend(({ messageId: id, size }) => ({
      mails: [
        { uid: 1, id, size },
        { uid: 2, id: `<x-${id.slice(1)}`, size },
        { uid: 3, id, size: size + 1 },
      ],
      uidNext: 4,
    }));
    expect(await resolveUncertain(0)).toBeUndefined();
    // A mail of the same id that is not ours for certain: nobody can say.
    expect(await resolveUncertain(minutes(11))).toBeUndefined();
  });

  it('is tried again when nothing was added to the folder, but not before a slow server must be done', async () => {
    const { resolveUncertain } = await lostAppend(() => ({ mails: [{ uid: 1, id: '<old@example.org>' }], uidNext: 2 }));
    expect(await resolveUncertain(0)).toBeUndefined();
    expect(await resolveUncertain(minutes(9.9))).toBeUndefined();
    expect(await resolveUncertain(minutes(10))).toEqual(absent);
  });

  it('is tried again when everything that was added is still there, and other mail', async () => {
    const { resolveUncertain } = await lostAppend(() => ({
      mails: [
        { uid: 2, id: '<other-1@example.org>' },
        { uid: 3, id: '<other-2@example.org>' },
      ],
      uidNext: 4,
    }));
    expect(await resolveUncertain(minutes(10))).toEqual(absent);
  });

  it('stays in doubt when something that was added is gone: it may have been taken out already', async () => {
    const { resolveUncertain } = await lostAppend(() => ({
      mails: [{ uid: 3, id: '<other@example.org>' }],
      uidNext: 4,
    }));
    expect(await resolveUncertain(minutes(14))).toBeUndefined();
  });

  it('is found although the server’s index lags', async () => {
    const { resolveUncertain } = await lostAppend(({ messageId: id, size }) => ({
      mails: [{ uid: 2, id, size }],
      uidNext: 3,
      blind: true,
    }));
    expect(await resolveUncertain(minutes(1))).toBeUndefined();
    expect(await resolveUncertain(minutes(10))).toEqual(there);
  });

  it('is found after UIDVALIDITY has changed, and then never counts as absent', async () => {
    let found = false;
    const { resolveUncertain } = await lostAppend(({ messageId: id, size }) => ({
      mails: found ? [{ uid: 1, id, size }] : [],
      uidNext: 2,
      uidValidity: 8,
    }));
    expect(await resolveUncertain(minutes(14))).toBeUndefined();
    found = true;
    expect(await resolveUncertain(minutes(14))).toEqual(there);
  });

  it('never counts as absent without a note, with a note of another folder, or with one that makes no sense', async () => {
    const { resolveUncertain, note } = await lostAppend(() => ({ mails: [], uidNext: 2 }));
    const { note: foreign } = await lostAppend(() => ({ mails: [], uidNext: 2 }), { folder: 'Elsewhere' });
    for (const remembered of [foreign, 'nonsense', '{"append":1}']) {
      expect(await resolveUncertain(minutes(14), { remembered })).toBeUndefined();
    }
    expect(note).not.toContain('tester');
    expect(await resolveUncertain(minutes(14))).toEqual(absent);
  });

  it('stays in doubt while the folder cannot be searched', async () => {
    for (const script of [
      { EXAMINE: () => 'cut' },
      { EXAMINE: (tag: string) => `${tag} NO [NONEXISTENT] gone\r\n` },
      { 'UID SEARCH': (tag: string) => `${tag} NO no search here\r\n` },
      { LOGIN: (tag: string) => `${tag} NO [AUTHENTICATIONFAILED] no\r\n` },
    ] as readonly ImapScript[]) {
      const { transport } = await start(script);
      const signal = AbortSignal.timeout(10_000);
      const asked = { signal, remember: async () => {}, sinceCommitMs: minutes(14) };
      expect(transport.resolveUncertain).toBeDefined();
      expect(await transport.resolveUncertain?.(frozenMail(), asked)).toBeUndefined();
    }
  });
});

describe('a transport that is closed', () => {
  it('cuts a text under way, of which the server then has no whole', async () => {
    const { server, transport } = await start({}, { timeout: 15_000 });
    let letGo: (() => void) | undefined;
    const commit = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const sending = transport.send(
      frozenMail({ body: longBody(100_000) }),
      sendOptions({ beforeCommit: () => commit }),
    );
    await eventually('the text is on its way', () => server.literalBytes() > 50_000);
    const closed = transport.close();
    await eventually('the connection ends', () => server.openConnections() === 0);
    letGo?.();
    await closed;
    expect(outcomes(await sending)).toEqual(['deferred']);
    expect(server.literals()).toHaveLength(0);
  });
});
