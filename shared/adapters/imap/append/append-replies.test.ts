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
import type { MailTransport } from '../../transport.ts';

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function start(
  script: ImapScript,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly server: ScriptedImap; readonly transport: MailTransport }> {
  const server = await startScriptedImap(script);
  const transport = imapTransport({ port: server.port, ...fields });
  undo.push(
    () => server.stop(),
    () => transport.close(),
  );
  return { server, transport };
}

const to = ['anna@example.org', 'bert@example.org'];
const appends = (server: ScriptedImap) => server.commands().filter((command) => command.startsWith('APPEND'));

describe('a refused APPEND', () => {
  it.each([
    ['NO [TRYCREATE] no such folder', 'deferred', 'account', 'TRYCREATE', 'Create the folder'],
    ['NO [NONEXISTENT] no such folder', 'deferred', 'account', 'NONEXISTENT', 'Create the folder'],
    ['NO no such folder', 'deferred', 'account', 'NO', 'Create the folder'],
    ['NO [CANNOT] not that name', 'deferred', 'account', 'CANNOT', 'Create the folder'],
    ['NO [OVERQUOTA] the mailbox is full', 'deferred', 'account', 'OVERQUOTA', 'Free some space'],
    ['NO [NOPERM] not yours', 'deferred', 'account', 'NOPERM', 'access rights'],
    ['NO [CONTACTADMIN] closed', 'deferred', 'account', 'CONTACTADMIN', 'administrator'],
    ['NO [LIMIT] too many headers', 'rejected', 'message', 'LIMIT', 'beyond a limit'],
    ['NO [TOOBIG] too large', 'rejected', 'message', 'TOOBIG', 'Send less'],
    ['NO [UNAVAILABLE] a disk is away', 'deferred', 'connection', 'UNAVAILABLE', 'It may pass'],
    ['NO [INUSE] locked', 'deferred', 'connection', 'INUSE', 'It may pass'],
    ['NO [THROTTLED] not so fast', 'deferred', 'throttled', 'THROTTLED', 'limits.perMinute'],
    ['NO too many requests', 'deferred', 'throttled', 'NO', 'limits.perMinute'],
    ['BAD what?', 'deferred', 'message', 'BAD', 'log'],
  ])('%s: %s, of the %s', async (answer, outcome, scope, code, hint) => {
    const { server, transport } = await start({ APPEND: (tag) => `${tag} ${answer}\r\n` }, { folder: 'Elsewhere' });
    const options = sendOptions();
    const receipt = await transport.send(frozenMail({ to }), options);
    expect(outcomes(receipt)).toEqual([outcome, outcome]);
    expect(receipt.recipients.map(({ address }) => address)).toEqual(to);
    expect(receipt.trouble).toMatchObject({ scope, code });
    expect(receipt.trouble?.hint).toContain(hint);
    // Events repeat the hint, and a folder may be called anything.
    expect(receipt.trouble?.hint).not.toContain('INBOX');
    expect(receipt.trouble?.reply).toBe(answer.replace(/^(NO|BAD) (\[\w+\] )?/, ''));
    // Nothing of the mail was sent, and the connection is as good as before.
    expect(options.commits()).toBe(0);
    expect(server.literalBytes()).toBe(0);
    await transport.send(frozenMail(), sendOptions());
    expect(server.connections()).toBe(1);
  });

  it('of a folder that is there, without a code, is about the mail and tried again', async () => {
    const { transport } = await start({ APPEND: (tag) => `${tag} NO I do not like this one\r\n` });
    const receipt = await transport.send(frozenMail(), sendOptions());
    expect(receipt.recipients[0]).toMatchObject({ outcome: 'deferred', reply: 'I do not like this one' });
    expect(receipt.trouble?.scope).toBe('message');
  });

  it('counts also after the commit point: nothing is in doubt', async () => {
    const { transport } = await start({ 'APPEND END': (tag) => `${tag} NO [OVERQUOTA] full\r\n` });
    const options = sendOptions();
    const receipt = await transport.send(frozenMail(), options);
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: 'OVERQUOTA' });
    expect(options.commits()).toBe(1);
  });

  it('in the middle of the text ends the connection, since what follows would be read as text', async () => {
    let first = true;
    const { server, transport } = await start({
      APPEND: (tag) => {
        const answer = first ? `+ go on\r\n${tag} NO [OVERQUOTA] full\r\n` : '+ go on\r\n';
        first = false;
        return answer;
      },
    });
    // The last bytes do not leave before the refusal has come.
    const beforeCommit = () => eventually('the connection ends', () => server.openConnections() === 0);
    const options = sendOptions({ beforeCommit });
    const receipt = await transport.send(frozenMail({ body: longBody(200_000) }), options);
    expect(receipt.trouble?.code).toBe('OVERQUOTA');
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
    expect(server.literals()).toHaveLength(1);
    expect(server.connections()).toBe(2);
  });

  it('never says the password, though the server echoes it', async () => {
    const { transport } = await start({ APPEND: (tag) => `${tag} NO you said "secret" before\r\n` });
    const receipt = await transport.send(frozenMail(), sendOptions());
    expect(receipt.trouble?.reply).toBe('you said "***" before');
    expect(JSON.stringify(receipt)).not.toContain('"secret');
  });
});

describe('an APPEND', () => {
  it('carries folder, date and every byte, and says where the mail is', async () => {
    const { server, transport } = await start({});
    const mail = frozenMail({ to });
    const receipt = await transport.send({ ...mail, date: Date.UTC(2026, 1, 3, 4, 5, 6) }, sendOptions());
    expect(receipt.recipients).toEqual(
      to.map((address) => ({ address, outcome: 'accepted', code: 'OK', reply: '[APPENDUID 7 2] done' })),
    );
    expect(receipt.trouble).toBeUndefined();
    expect(appends(server)).toEqual([`APPEND "INBOX" "03-Feb-2026 04:05:06 +0000" {${mail.size}}`]);
    expect(server.literals().map((bytes) => bytes.equals(mail.text))).toEqual([true]);
  });

  it.each([
    ['Post & Eingang', '"Post &- Eingang"'],
    ['Entwürfe/日本', '"Entw&APw-rfe/&ZeVnLA-"'],
    ['a "quoted\\ name', '"a \\"quoted\\\\ name"'],
    ['inbox', '"inbox"'],
  ])('names the folder %s as IMAP does', async (folder, wire) => {
    const { server, transport } = await start({}, { folder });
    await transport.send(frozenMail(), sendOptions());
    expect(appends(server)[0]?.startsWith(`APPEND ${wire} "`)).toBe(true);
  });

  it('waits for the server to ask for the text, also where literals may go unasked', async () => {
    const extensions = (tag: string) => `* CAPABILITY IMAP4rev1 LITERAL+\r\n${tag} OK done\r\n`;
    const { server, transport } = await start({
      CAPABILITY: extensions,
      LOGIN: (tag) => `${tag} OK [CAPABILITY IMAP4rev1 LITERAL+] in\r\n`,
    });
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
    expect(appends(server)[0]).toMatch(/ \{\d+\}$/);
  });

  it('is not offered above the limit that the server says (RFC 7889)', async () => {
    const capabilities = 'IMAP4rev1 APPENDLIMIT=1000';
    const { server, transport } = await start({
      CAPABILITY: (tag) => `* CAPABILITY ${capabilities}\r\n${tag} OK done\r\n`,
      LOGIN: (tag) => `${tag} OK [CAPABILITY ${capabilities}] in\r\n`,
    });
    const receipt = await transport.send(frozenMail({ body: longBody(2_000) }), sendOptions());
    expect(outcomes(receipt)).toEqual(['rejected']);
    expect(receipt.trouble).toMatchObject({ scope: 'message', code: 'APPENDLIMIT' });
    expect(receipt.trouble?.hint).toContain('at most 1000');
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
    expect(appends(server)).toHaveLength(1);
  });

  it('does without the folder’s numbers where the server does not say them', async () => {
    const { transport } = await start({ STATUS: (tag) => `${tag} NO [NOPERM] no right to read\r\n` });
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
  });

  it('commits to nothing when the note for a later search cannot be kept', async () => {
    const { server, transport } = await start({});
    const options = sendOptions({ remember: () => Promise.reject(new Error('storage is away')) });
    const receipt = await transport.send(frozenMail(), options);
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble?.code).toBe('COMMIT_REFUSED');
    expect(options.commits()).toBe(0);
    expect(server.literals()).toHaveLength(0);
  });
});

describe('an account that cannot sign in', () => {
  it.each([
    ['NO [AUTHENTICATIONFAILED] wrong', 'account', 'AUTHENTICATIONFAILED'],
    ['NO [EXPIRED] too old', 'account', 'EXPIRED'],
    ['NO [UNAVAILABLE] no directory', 'connection', 'UNAVAILABLE'],
    ['NO too many connections', 'throttled', 'NO'],
  ])('%s: of the %s', async (answer, scope, code) => {
    const { transport } = await start({ LOGIN: (tag) => `${tag} ${answer}\r\n` });
    const receipt = await transport.send(frozenMail(), sendOptions());
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble).toMatchObject({ scope, code });
    expect(receipt.trouble?.hint).toBeTruthy();
  });

  it('for want of a secret says which', async () => {
    const { transport } = await start({});
    await transport.close();
    const server = await startScriptedImap({});
    undo.push(() => server.stop());
    const without = imapTransport({ port: server.port }, { secret: () => Promise.reject(new Error('no')) });
    undo.push(() => without.close());
    const receipt = await without.send(frozenMail(), sendOptions());
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: 'SECRET' });
    expect(receipt.trouble?.hint).toContain('corpus-imap');
    expect(server.connections()).toBe(0);
  });

  it('over an open connection with starttls preferred is asked to use TLS', async () => {
    const { transport, server } = await start({}, { tls: {} });
    const receipt = await transport.send(frozenMail(), sendOptions());
    expect(receipt.trouble).toMatchObject({ scope: 'account', code: 'STARTTLS_UNAVAILABLE' });
    expect(server.commands().some((command) => /secret/.test(command))).toBe(false);
  });
});
