import { createServer, type Server } from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RegisteredApp } from '../local/entra/app.ts';
import { freePort } from '../local/ports.ts';
import { type Dovecot, startDovecot } from './support/dovecot.ts';
import { Mailroom, singleFunctionKeys } from './support/mailroom.ts';
import { startScriptedImap } from './support/scripted-imap.ts';
import { type Pop3Script, startScriptedPop3 } from './support/scripted-pop3.ts';
import { startScriptedSmtp } from './support/scripted-smtp.ts';
import { startSmtpSubject } from './support/smtp-subject.ts';

const users = { tester: 'password of tester' };
const tenantId = '11111111-1111-4111-8111-111111111111';
const clientId = (n: number) => `33333333-3333-4333-8333-33333333333${n}`;
const appSecret = 'secret of the app registration';
const app = (n: number, more: Partial<RegisteredApp> = {}): RegisteredApp => ({
  tenantId,
  clientId: clientId(n),
  secret: appSecret,
  ...more,
});

let mailroom: Mailroom;
const servers: Partial<Record<'good' | 'expired' | 'wrongHost' | 'selfSigned' | 'acl', Dovecot>> = {};
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  const kinds = ['good', 'expired', 'wrongHost', 'selfSigned'] as const;
  const acl = 'mail_plugins = acl\nplugin {\n  acl = vfile\n}\nprotocol imap {\n  mail_plugins = acl imap_acl\n}';
  const [started, ...dovecots] = await Promise.all([
    Mailroom.start({
      apps: [
        app(1, { roles: ['Mail.ReadWrite', 'Mail.Send'] }),
        app(2, { secretExpiresAt: Date.now() - 1_000 }),
        app(3, { consented: false }),
        app(4, { roles: ['Mail.Read', 'Mail.Send'] }),
        app(5, { roles: ['Mail.ReadWrite'] }),
      ],
      graph: [{ userPrincipalName: 'box@example.com' }, { userPrincipalName: 'away@example.com', enabled: false }],
    }),
    ...kinds.map((certificate) => startDovecot({ users, certificate })),
    startDovecot({ users, extra: acl }),
  ]);
  mailroom = started;
  for (const [n, kind] of [...kinds, 'acl' as const].entries()) {
    const dovecot = dovecots[n];
    if (dovecot) servers[kind] = dovecot;
  }
  await mailroom.secret('corpus', 'corpus-right', users.tester);
  await mailroom.secret('corpus', 'corpus-wrong', 'not the password at all');
  await mailroom.secret('corpus', 'corpus-app', appSecret);
}, 60_000);

afterAll(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  for (const dovecot of Object.values(servers)) await dovecot.remove();
  await mailroom?.stop();
});

const dovecotOf = (kind: keyof typeof servers) => servers[kind] ?? expect.fail(`no server ${kind}`);

interface Step {
  readonly step: string;
  readonly status: string;
  readonly ms: number;
  readonly code?: string;
  readonly detail?: string;
  readonly hint?: string;
}

async function verify(account: Readonly<Record<string, unknown>>) {
  const body = { from: 'corpus@example.com', import: { schedule: null }, ...account };
  await mailroom.expect([200, 201], 'PUT', '/api/accounts/corpus', { body });
  const { json } = await mailroom.expect(200, 'POST', '/api/accounts/corpus/verify');
  return json;
}

/** The store's steps, and those of an SMTP or Graph transport. */
async function stepsOf(side: 'store' | 'transport', end: Readonly<Record<string, unknown>>, rule: object = {}) {
  const json = await verify({ [side]: end, import: { schedule: null, ...rule } });
  const steps: readonly Step[] = json[side].steps;
  expect(json.status).toBe(steps.some(({ status }) => status === 'failed') ? 'failed' : 'ok');
  return steps;
}

const auth = (secret = 'corpus-right') => ({ type: 'password', user: 'tester', secret });

function imap(kind: keyof typeof servers, more: Readonly<Record<string, unknown>> = {}) {
  const { ports } = dovecotOf(kind);
  return { protocol: 'imaps', host: '127.0.0.1', port: ports.imaps, auth: auth(), ...more };
}

function graph(n: number, more: Readonly<Record<string, unknown>> = {}) {
  const credential = { type: 'clientSecret', tenantId, clientId: clientId(n), secret: 'corpus-app' };
  return { protocol: 'graph', userId: 'box@example.com', credential, ...more };
}

/** The one step that failed; those before it went well, those after it were not tried. */
function failed(steps: readonly Step[]): Step {
  const at = steps.findIndex(({ status }) => status === 'failed');
  const step = steps[at] ?? expect.fail(`nothing failed in ${JSON.stringify(steps)}`);
  for (const before of steps.slice(0, at)) expect(before.status, before.step).not.toBe('failed');
  expect(step.hint).toMatch(/^[A-Za-z].{15,}$/s);
  return step;
}

const trusted = () => ({ ca: dovecotOf('good').certificates.ca });

async function listener(onConnection: Parameters<typeof createServer>[1]): Promise<number> {
  const server: Server = createServer({}, onConnection);
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

describe('an account in order', () => {
  it('over IMAPS: every step, its milliseconds, and what was found', async () => {
    const steps = await stepsOf('store', imap('good', { tls: trusted() }));
    expect(steps.map(({ step, status }) => `${step} ${status}`)).toEqual([
      'resolve ok',
      'connect ok',
      'tls ok',
      'signIn ok',
      // Dovecot without its ACL plugin lists no rights.
      'permission unknown',
      'folder ok',
    ]);
    for (const { ms } of steps) expect(ms).toBeTypeOf('number');
    expect(steps[2]?.detail).toMatch(/^TLSv1\.\d, certificate for .*localhost.*valid until /);
    expect(steps[5]?.detail).toBe('mails in INBOX: 0');
  });

  it('over IMAP with STARTTLS, where the server lists rights', async () => {
    const server = dovecotOf('acl');
    const end = { ...imap('acl', { protocol: 'imap', port: server.ports.imap }), tls: { ca: server.certificates.ca } };
    const steps = await stepsOf('store', end);
    expect(steps.map(({ status }) => status)).toEqual(Array(6).fill('ok'));
    expect(steps[4]?.detail).toContain('rights');
  });

  it('over SMTP: as far as MAIL and RCPT, from the sender to itself, which are taken back', async () => {
    const server = await startScriptedSmtp({ extensions: ['AUTH PLAIN'] });
    cleanups.push(() => server.stop());
    const tlsNever = { tls: { starttls: 'never' } };
    const steps = await stepsOf('transport', {
      protocol: 'smtp',
      host: server.host,
      port: server.port,
      auth: auth(),
      ...tlsNever,
    });
    expect(steps.map(({ step, status }) => `${step} ${status}`)).toEqual([
      'resolve ok',
      'connect ok',
      'tls ok',
      'signIn ok',
      'permission ok',
    ]);
    expect(server.commands.filter((line) => /^(MAIL|RCPT|DATA|RSET)/i.test(line))).toEqual([
      'MAIL FROM:<corpus@example.com>',
      'RCPT TO:<corpus@example.com>',
      'RSET',
    ]);
    expect(server.mails).toEqual([]);
  });

  it('on Graph: both sides, with what the token carries; nothing is written', async () => {
    const before = mailroom.graph.requests.length;
    const json = await verify({ transport: graph(1), store: graph(1, { folders: ['inbox'] }) });
    expect(json).toMatchObject({ account: 'corpus', status: 'ok', transport: { protocol: 'graph', status: 'ok' } });
    expect(json.transport.steps.map((step: Step) => `${step.step} ${step.status}`)).toEqual([
      'resolve ok',
      'connect ok',
      'tls ok',
      'signIn ok',
      'permission ok',
    ]);
    expect(json.store.steps.at(-1)).toMatchObject({ step: 'folder', status: 'ok' });
    const made = mailroom.graph.requests.slice(before);
    expect(made.length).toBeGreaterThan(0);
    expect(made.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('that has neither side: null', async () => {
    expect(await verify({})).toEqual({ account: 'corpus', status: 'ok', transport: null, store: null });
  });

  it('an account that is not there: 404', async () => {
    await mailroom.expect(404, 'POST', '/api/accounts/nobody/verify');
  });
});

describe('fifteen broken servers, each named by its real cause', () => {
  it('1. an unknown host', async () => {
    const steps = await stepsOf('store', imap('good', { host: 'mail.nowhere.invalid' }));
    expect(failed(steps)).toMatchObject({ step: 'resolve', code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) });
    expect(steps.at(-1)).toMatchObject({ status: 'unknown', hint: 'Not tried, because resolve failed.' });
  });

  it('2. a port where nothing listens', async () => {
    const steps = await stepsOf('store', imap('good', { port: await freePort() }));
    expect(failed(steps)).toMatchObject({
      step: 'connect',
      code: 'ECONNREFUSED',
      hint: expect.stringContaining('port'),
    });
  });

  it('3. a server that takes the connection and says nothing', async () => {
    const port = await listener(() => undefined);
    const steps = await stepsOf('store', { ...imap('good'), protocol: 'imap', port, timeout: 500 });
    expect(failed(steps)).toMatchObject({ step: 'connect', code: 'GREETING_TIMEOUT' });
  });

  it('4. a port that speaks TLS from the start', async () => {
    const { ports } = dovecotOf('good');
    const steps = await stepsOf('store', { ...imap('good'), protocol: 'imap', port: ports.imaps, timeout: 700 });
    expect(failed(steps)).toMatchObject({
      step: 'connect',
      code: 'TLS_FROM_START',
      hint: expect.stringMatching(/Use imaps/),
    });
  });

  it('5. a web server', async () => {
    const port = await listener((socket) => {
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    });
    const steps = await stepsOf('transport', { protocol: 'smtp', host: '127.0.0.1', port });
    expect(failed(steps)).toMatchObject({
      step: 'connect',
      code: 'OTHER_PROTOCOL',
      hint: expect.stringContaining('SMTP'),
    });
  });

  it('6. a self-signed certificate', async () => {
    const step = failed(await stepsOf('store', imap('selfSigned')));
    expect(step).toMatchObject({ step: 'tls', hint: expect.stringMatching(/tls\.ca.*tls\.trust/) });
    expect(step.detail).toContain('certificate for');
  });

  it('7. an expired certificate', async () => {
    const { ca } = dovecotOf('expired').certificates;
    const step = failed(await stepsOf('store', imap('expired', { tls: { ca } })));
    expect(step).toMatchObject({ step: 'tls', code: 'CERT_HAS_EXPIRED', hint: expect.stringContaining('tls.trust') });
    expect(step.detail).toMatch(/valid until Jan {2}1 00:00:00 2020/);
  });

  it('8. a certificate for another name', async () => {
    const { ca } = dovecotOf('wrongHost').certificates;
    const step = failed(await stepsOf('store', imap('wrongHost', { tls: { ca } })));
    expect(step).toMatchObject({ step: 'tls', code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(step.detail).toContain('elsewhere.invalid');
  });

  it('9. a trust list that does not name the host', async () => {
    const step = failed(await stepsOf('store', imap('good', { tls: { trust: ['other.example.com'] } })));
    expect(step).toMatchObject({ step: 'tls', code: 'TLS_NOT_ALLOWED', hint: expect.stringContaining('127.0.0.1') });
  });

  it('10. a server of the old TLS 1.1', async () => {
    const { certificates } = dovecotOf('good');
    const old = tls.createServer({
      ...{ cert: certificates.cert, key: certificates.key },
      ...{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' },
    });
    old.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => old.close());
    const address = old.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const step = failed(await stepsOf('store', imap('good', { port, tls: trusted() })));
    expect(step).toMatchObject({ step: 'tls', hint: expect.stringContaining('tls.minVersion') });
  });

  it('11. STARTTLS stripped on the way', async () => {
    const server = await startScriptedImap({});
    cleanups.push(() => server.stop());
    const step = failed(await stepsOf('store', { ...imap('good'), protocol: 'imap', port: server.port }));
    expect(step).toMatchObject({ step: 'tls', code: 'STARTTLS_UNAVAILABLE', hint: expect.stringContaining('imaps') });
    expect(server.commands().filter((line) => /^LOGIN|^AUTH/i.test(line))).toEqual([]);
  });

  it('12. words in the clear behind the answer to STARTTLS', async () => {
    const server = await startScriptedSmtp({
      extensions: ['STARTTLS'],
      answer: (step) => (step === 'STARTTLS' ? '220 go ahead\r\n250 injected' : undefined),
    });
    cleanups.push(() => server.stop());
    const step = failed(await stepsOf('transport', { protocol: 'smtp', host: server.host, port: server.port }));
    expect(step).toMatchObject({ step: 'tls', code: 'STARTTLS_INJECTION' });
  });

  it('13. a password that is refused', async () => {
    const step = failed(await stepsOf('store', imap('good', { tls: trusted(), auth: auth('corpus-wrong') })));
    expect(step).toMatchObject({
      step: 'signIn',
      code: 'AUTHENTICATIONFAILED',
      hint: expect.stringContaining('secret'),
    });
  });

  it('14. a secret that is not in Key Vault', async () => {
    const step = failed(await stepsOf('store', imap('good', { tls: trusted(), auth: auth('corpus-none') })));
    expect(step).toMatchObject({ step: 'signIn', hint: expect.stringContaining('corpus-none') });
  });

  it('15. a folder that is not there, with those that are', async () => {
    await (await dovecotOf('good').client('tester')).ok('CREATE Rechnungen');
    const step = failed(await stepsOf('store', imap('good', { tls: trusted(), folders: ['INBOX', 'Invoices'] })));
    expect(step).toMatchObject({
      step: 'folder',
      hint: expect.stringMatching(/The folders there are: .*"Rechnungen"/),
    });
  });

  it('16. rights that are missing', async () => {
    const server = dovecotOf('acl');
    const client = await server.client('tester');
    await client.ok('CREATE Archive');
    await client.ok('SETACL Archive tester lra');
    const end = imap('acl', { tls: { ca: server.certificates.ca }, folders: ['Archive'] });
    expect(failed(await stepsOf('store', end))).toMatchObject({ step: 'permission', code: 'NOPERM' });
    const reading = await stepsOf('store', end, { markRead: false });
    expect(reading.map(({ status }) => status)).toEqual(Array(6).fill('ok'));
  });

  it('17. a mail server that wants another way to sign in', async () => {
    const server = await startSmtpSubject({ server: { authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'] } });
    cleanups.push(() => server.stop());
    const end = { protocol: 'smtp', host: server.host, port: server.port, auth: auth(), tls: { starttls: 'never' } };
    expect(failed(await stepsOf('transport', end))).toMatchObject({
      step: 'signIn',
      hint: expect.stringContaining('auth'),
    });
  });
});

describe('POP3', () => {
  const pop3 = (more: Readonly<Record<string, unknown>> = {}) => {
    const { ports } = dovecotOf('good');
    return { protocol: 'pop3s', host: '127.0.0.1', port: ports.pop3s, auth: auth(), tls: trusted(), ...more };
  };
  const scripted = async (script: Pop3Script, capabilities?: readonly string[]) => {
    const server = await startScriptedPop3({ script, ...(capabilities ? { capabilities } : {}) });
    cleanups.push(() => server.stop());
    return { server, end: pop3({ protocol: 'pop3', port: server.port, tls: { starttls: 'never' } }) };
  };

  it.each(['pop3', 'pop3s'] as const)('%s in order: every step; nothing is deleted', async (protocol) => {
    await dovecotOf('good').deliver('tester', 'Subject: stays\r\n\r\nthere\r\n');
    const end = pop3({ protocol, port: dovecotOf('good').ports[protocol] });
    const steps = await stepsOf('store', end, { delete: 'immediately' });
    expect(steps.map(({ step, status }) => `${step} ${status}`)).toEqual([
      'resolve ok',
      'connect ok',
      'tls ok',
      'signIn ok',
      'permission unknown',
      'folder ok',
    ]);
    expect(steps[2]?.detail).toMatch(/^TLSv1\.\d, certificate for /);
    expect(steps[4]?.hint).toMatch(/deleted/);
    const reading = await stepsOf('store', end);
    expect(reading.map(({ status }) => status)).toEqual(Array(6).fill('ok'));
    expect(reading[5]?.detail).toBe(steps[5]?.detail);
  });

  it('a password that is refused, and one that is not in Key Vault', async () => {
    expect(failed(await stepsOf('store', pop3({ auth: auth('corpus-wrong') })))).toMatchObject({
      step: 'signIn',
      code: 'AUTH',
      hint: expect.stringContaining('secret'),
    });
    const step = failed(await stepsOf('store', pop3({ auth: auth('corpus-none') })));
    expect(step).toMatchObject({ step: 'signIn', hint: expect.stringContaining('corpus-none') });
  });

  it('STLS stripped on the way: no password is sent', async () => {
    const { server, end } = await scripted({});
    const step = failed(await stepsOf('store', { ...end, tls: { starttls: 'preferred' } }));
    expect(step).toMatchObject({ step: 'tls', code: 'STARTTLS_UNAVAILABLE', hint: expect.stringContaining('pop3s') });
    expect(server.lines().filter((line) => /^(USER|PASS|AUTH)/.test(line))).toEqual([]);
  });

  it('a mailbox that another session holds: not the password', async () => {
    const { end } = await scripted({ PASS: () => '-ERR [IN-USE] locked\r\n' });
    const step = failed(await stepsOf('store', end));
    expect(step).toMatchObject({ step: 'signIn', code: 'IN-USE', hint: expect.stringContaining('Another session') });
  });

  it('a server without UIDL, unless the account deletes at once', async () => {
    const { server, end } = await scripted({ UIDL: () => '-ERR unknown command\r\n' }, ['USER', 'TOP']);
    const step = failed(await stepsOf('store', end));
    expect(step).toMatchObject({ step: 'folder', code: 'NO_UIDL', hint: expect.stringContaining('immediately') });
    expect((await stepsOf('store', end, { delete: 'immediately' })).at(-1)).toMatchObject({ status: 'ok' });
    expect(server.lines().filter((line) => line.startsWith('DELE'))).toEqual([]);
  });
});

describe('IMAP as a transport', () => {
  it('in order: the folder is looked at, and nothing is added', async () => {
    const steps = await stepsOf('transport', imap('good', { tls: trusted(), folder: 'INBOX' }));
    expect(steps.at(-1)).toMatchObject({ step: 'folder', status: 'ok' });
    const client = await dovecotOf('good').client('tester');
    const before = await client.uids('INBOX');
    await stepsOf('transport', imap('good', { tls: trusted(), folder: 'INBOX' }));
    expect(await client.uids('INBOX')).toEqual(before);
    await client.close();
  });

  it('a folder that is not there, with those that are', async () => {
    const step = failed(await stepsOf('transport', imap('good', { tls: trusted(), folder: 'Outgoing' })));
    expect(step).toMatchObject({ step: 'folder', hint: expect.stringMatching(/The folders there are: .*"INBOX"/) });
  });

  it('a folder that may be read and not added to', async () => {
    const server = dovecotOf('acl');
    const client = await server.client('tester');
    await client.ok('CREATE Closed');
    await client.ok('SETACL Closed tester lra');
    await client.close();
    const end = imap('acl', { tls: { ca: server.certificates.ca }, folder: 'Closed' });
    const step = failed(await stepsOf('transport', end));
    expect(step).toMatchObject({ step: 'permission', code: 'NOPERM', hint: expect.stringContaining('"Closed"') });
  });
});

describe('copies for Sent', () => {
  const verifyCopies = async (kind: 'good' | 'acl') => {
    const server = await startScriptedSmtp();
    cleanups.push(() => server.stop());
    const smtp = { protocol: 'smtp', host: server.host, port: server.port, tls: { starttls: 'never' } };
    const tls = { ca: dovecotOf(kind).certificates.ca };
    return await verify({ transport: { ...smtp, saveToSent: true }, store: imap(kind, { tls }) });
  };

  it('where there is no such folder yet, none is made', async () => {
    const json = await verifyCopies('good');
    expect(json).toMatchObject({ status: 'ok', sentCopies: { protocol: 'imaps', status: 'ok' } });
    expect(json.sentCopies.steps.at(-1)).toMatchObject({ step: 'folder', detail: expect.stringContaining('none yet') });
    const client = await dovecotOf('good').client('tester');
    const folders = JSON.stringify((await client.ok('LIST "" *')).lines);
    expect(folders).toContain('INBOX');
    expect(folders).not.toContain('Sent');
    await client.close();
  });

  it('a folder that may be read and not added to', async () => {
    const client = await dovecotOf('acl').client('tester');
    await client.ok('CREATE Sent');
    await client.ok('SETACL Sent tester lra');
    await client.close();
    const json = await verifyCopies('acl');
    expect(json).toMatchObject({ status: 'failed', transport: { status: 'ok' }, store: { status: 'ok' } });
    expect(failed(json.sentCopies.steps)).toMatchObject({
      step: 'permission',
      code: 'NOPERM',
      hint: expect.stringContaining('"Sent"'),
    });
  });
});

describe('Microsoft Graph', () => {
  it.each([
    ['a client secret that has expired', graph(2), 'AADSTS7000222', /expired/],
    ['an app without consent', graph(3), 'AADSTS65001', /consent/],
    ['an app that is not in the tenant', graph(9), 'AADSTS700016', /clientId/],
    [
      'another tenant',
      { ...graph(1), credential: { ...graph(1).credential, tenantId: '44444444-4444-4444-8444-444444444444' } },
      'AADSTS90002',
      /tenant/,
    ],
  ])('%s', async (_, end, code, hint) => {
    for (const side of ['store', 'transport'] as const) {
      expect(failed(await stepsOf(side, end))).toMatchObject({
        step: 'signIn',
        code,
        hint: expect.stringMatching(hint),
      });
    }
  });

  it('a mailbox without a licence', async () => {
    const step = failed(await stepsOf('store', graph(1, { userId: 'away@example.com' })));
    expect(step).toMatchObject({
      step: 'permission',
      code: 'MailboxNotEnabledForRESTAPI',
      hint: expect.stringContaining('licence'),
    });
  });

  it('Mail.ReadWrite is missing: reading is well, changing fails', async () => {
    const step = failed(await stepsOf('store', graph(4)));
    expect(step).toMatchObject({
      step: 'permission',
      code: 'Mail.ReadWrite',
      hint: expect.stringContaining('Mail.ReadWrite'),
    });
    const reading = await stepsOf('store', graph(4), { markRead: false });
    expect(reading.map(({ status }) => status)).toEqual(Array(6).fill('ok'));
    const direct = await stepsOf('transport', graph(4, { sendMode: 'direct' }));
    expect(direct.at(-1)).toMatchObject({ step: 'permission', status: 'ok' });
  });

  it('Mail.Send is not in the token: unknown, since Exchange RBAC may grant it', async () => {
    const steps = await stepsOf('transport', graph(5));
    expect(steps.at(-1)).toMatchObject({ step: 'permission', status: 'unknown', code: 'Mail.Send' });
    expect(steps.at(-1)?.hint).toMatch(/RBAC.*only when a mail is sent/);
  });

  it('a folder that is not there, with those that are', async () => {
    const step = failed(await stepsOf('store', graph(1, { folders: ['inbox', 'inbox/Invoices'] })));
    expect(step).toMatchObject({ step: 'folder', hint: expect.stringMatching(/The folders there are: .*"Inbox"/) });
  });
});

describe('a server that speaks something else', () => {
  it.each([
    ['imap', 'pop3', /speaks POP3, and not IMAP.*protocol to pop3/],
    ['pop3', 'imap', /speaks IMAP, and not POP3.*protocol to imap/],
    ['imaps', 'pop3s', /speaks POP3, and not IMAP.*protocol to pop3/],
    ['pop3s', 'imaps', /speaks IMAP, and not POP3.*protocol to imap/],
  ] as const)('%s at the port of %s is named', async (protocol, other, hint) => {
    const { ports } = dovecotOf('good');
    const end = imap('good', { protocol, port: ports[other], tls: trusted() });
    const step = failed(await stepsOf('store', end));
    expect(step).toMatchObject({ code: 'OTHER_PROTOCOL', hint: expect.stringMatching(hint) });
    expect(step.step).toBe(protocol.endsWith('s') ? 'tls' : 'connect');
  });

  it('SMTP at the port of IMAP, and a port that has no TLS from the start', async () => {
    const { ports } = dovecotOf('good');
    const smtp = { protocol: 'smtp', host: '127.0.0.1', port: ports.imap };
    expect(failed(await stepsOf('transport', smtp))).toMatchObject({
      code: 'OTHER_PROTOCOL',
      hint: expect.stringMatching(/speaks IMAP, and not SMTP/),
    });
    const step = failed(await stepsOf('store', imap('good', { port: ports.imap, tls: trusted() })));
    expect(step).toMatchObject({ step: 'tls', hint: expect.stringContaining('does not speak TLS from the start') });
  });
});

describe('what an SMTP server says to MAIL and RCPT', () => {
  it.each([
    ['MAIL', '550 5.7.60 SendAsDenied', 'failed', '5.7.60', /takes no mail from corpus@example\.com/],
    ['MAIL', '451 4.7.1 later', 'unknown', '4.7.1', /later/],
    ['RCPT', '554 5.7.1 relay access denied', 'failed', '5.7.1', /relay/],
    ['RCPT', '550 5.1.1 no such user', 'unknown', '5.1.1', /no mailbox/],
    ['RCPT', '450 greylisted', 'unknown', '450', /later/],
  ] as const)('%s %s is %s', async (verb, reply, status, code, hint) => {
    const server = await startScriptedSmtp({ answer: (step) => (step === verb ? reply : undefined) });
    cleanups.push(() => server.stop());
    const end = { protocol: 'smtp', host: server.host, port: server.port, tls: { starttls: 'never' } };
    const step = (await stepsOf('transport', end)).at(-1);
    expect(step).toMatchObject({ step: 'permission', status, code, hint: expect.stringMatching(hint) });
    expect(server.commands.at(-2)).toBe('RSET');
  });
});

describe('an account that is not stored, or not in use', () => {
  const verifyBody = (name: string, body: unknown, key?: string) =>
    mailroom.call('POST', `/api/accounts/${name}/verify`, { body, ...(key === undefined ? {} : { key }) });
  const end = () => imap('good', { tls: trusted(), auth: auth('trial-imap') });

  it('a disabled one says so, and is tried all the same', async () => {
    const json = await verify({ enabled: false, store: imap('good', { tls: trusted() }) });
    expect(json).toMatchObject({ status: 'ok', enabled: false, hint: expect.stringContaining('disabled') });
  });

  it('is tried with secrets of the body, and nothing is stored', async () => {
    const account = { from: 'trial@example.com', store: end() };
    const { json } = await verifyBody('trial', { account, secrets: { 'Trial-IMAP': users.tester } });
    expect(json).toMatchObject({ account: 'trial', status: 'ok', store: { status: 'ok' } });
    const wrong = await verifyBody('trial', { account, secrets: { 'trial-imap': 'not the password at all' } });
    expect(failed(wrong.json.store.steps)).toMatchObject({ step: 'signIn', code: 'AUTHENTICATIONFAILED' });
    const without = await verifyBody('trial', { account });
    expect(failed(without.json.store.steps)).toMatchObject({ step: 'signIn', code: 'SECRET' });
    await mailroom.expect(404, 'GET', '/api/accounts/trial');
    await mailroom.expect(404, 'POST', '/api/accounts/trial/verify');
    const { ports } = dovecotOf('good');
    const properties = {
      'mail.store.protocol': 'imap',
      'mail.imap.host': '127.0.0.1',
      'mail.imap.port': ports.imap,
      'mail.imap.starttls.enable': false,
      'mail.imap.user': 'tester',
      'mail.imap.password': users.tester,
      'mail.from': 'trial@example.com',
    };
    expect((await verifyBody('trial', { account: { properties } })).json).toMatchObject({ status: 'ok' });
    await mailroom.expect(404, 'GET', '/api/accounts/trial');
  });

  it('with every mistake at once', async () => {
    const body = { account: { from: 'x', bogus: 1 }, secrets: { 'other-x': 'y', 'trial-x': '' }, more: 1 };
    const answer = await verifyBody('trial', body);
    expect(answer.status).toBe(400);
    const pointers = answer.json.errors.map(({ pointer }: { pointer: string }) => pointer);
    expect(pointers).toEqual(expect.arrayContaining(['/more', '/account/bogus', '/account/from', '/secrets/trial-x']));
  });

  it('sends a stored secret to no end that was not confirmed, unless the caller may write secrets', async () => {
    await mailroom.expect([200, 201], 'PUT', '/api/accounts/trier', {
      body: { from: 'trier@example.com', store: imap('good', { tls: trusted(), auth: auth('trier-imap') }) },
    });
    await mailroom.secret('trier', 'trier-imap', users.tester);
    const server = await startScriptedImap({});
    cleanups.push(() => server.stop());
    const elsewhere = { protocol: 'imap', host: '127.0.0.1', port: server.port, tls: { starttls: 'never' } };
    const account = { from: 'trier@example.com', store: { ...elsewhere, auth: auth('trier-imap') } };
    const { json } = await verifyBody('trier', { account }, singleFunctionKeys['account-verify']);
    expect(failed(json.store.steps)).toMatchObject({ step: 'signIn', code: 'SECRET_WAITS' });
    expect(server.commands().filter((line) => /^(LOGIN|AUTHENTICATE)/.test(line))).toEqual([]);
    expect((await verifyBody('trier', { account })).json.store.status).toBe('ok');
  });
});
