import { join } from 'node:path';
import { ClientSecretCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localCertificate } from '../local/certificate.ts';
import { identity, Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, send } from './support/sending.ts';
import { filesUnder, holds } from './support/storage-files.ts';

let mailroom: Mailroom;
let smtp: ScriptedSmtp;
let vault: SecretClient;

/** Values that must be in Key Vault and nowhere else, or nowhere at all. */
const secrets = {
  smtp: 'Übergangs-pa55wort=1',
  rotated: 'rotated-pa55wort-2',
  graph: 'graph~client~secret-3',
  refused: 'refused-pa55wort-4',
  misplaced: 'misplaced-pa55wort-5',
};
/** All that was answered. */
const answers: string[] = [];

beforeAll(async () => {
  smtp = await startScriptedSmtp({ extensions: ['AUTH PLAIN', 'DSN', '8BITMIME'] });
  mailroom = await Mailroom.start({ durable: true });
  const { ca } = await localCertificate(join(mailroom.directory, 'certificate'));
  const tls = { tlsOptions: { ca } };
  const credential = new ClientSecretCredential(identity.tenantId, identity.clientId, identity.secret, {
    authorityHost: mailroom.entra.authorityHost,
    disableInstanceDiscovery: true,
    ...tls,
  });
  vault = new SecretClient(mailroom.keyVault.uri, credential, { disableChallengeResourceVerification: true, ...tls });
});

afterAll(async () => {
  await mailroom?.stop();
  await smtp?.stop();
});

async function put(name: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await mailroom.call('PUT', `/api/accounts/${name}`, { body, headers });
  answers.push(answer.bytes.toString());
  return answer;
}

/** Names and values of the account's secrets in Key Vault. */
async function kept(account: string): Promise<Record<string, string | undefined>> {
  const found: Record<string, string | undefined> = {};
  for await (const { name } of vault.listPropertiesOfSecrets())
    if (name.startsWith(`${account}-`)) found[name] = (await vault.getSecret(name)).value;
  return found;
}

const relay = (more: Readonly<Record<string, unknown>> = {}) => ({
  'mail.transport.protocol': 'smtp',
  'mail.smtp.host': '127.0.0.1',
  'mail.smtp.port': smtp.port,
  'mail.smtp.starttls.enable': false,
  'mail.from': 'Corpus <corpus@example.com>',
  ...more,
});

describe('PUT of an account in Jakarta-Mail properties', () => {
  it('makes the account, keeps the password in Key Vault, and reports every property', async () => {
    const properties = relay({
      'mail.smtp.auth': true,
      'mail.smtp.user': 'corpus',
      'mail.smtp.password': secrets.smtp,
      'mail.smtp.from': 'bounces@example.com',
      'mail.smtp.dsn.notify': 'FAILURE,DELAY',
      'mail.smtp.dsn.ret': 'HDRS',
      'mail.smtp.connectiontimeout': 10_000,
      'mail.smtp.timeout': 20_000,
      'mail.smtps.host': 'mail.example.com',
      'mail.smtp.hots': 'mail.example.com',
    });
    const made = await put('corpus', { properties, import: { schedule: null } });
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe('/api/accounts/corpus');
    const { warnings, report, ...account } = made.json;
    expect(account).toMatchObject({
      name: 'corpus',
      from: 'Corpus <corpus@example.com>',
      sender: 'bounces@example.com',
      transport: {
        protocol: 'smtp',
        host: '127.0.0.1',
        port: smtp.port,
        auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp-password' },
        tls: { starttls: 'never' },
        dsn: { notify: ['failure', 'delay'], ret: 'headers' },
        connectionTimeout: 10_000,
        timeout: 20_000,
      },
      import: { schedule: null },
    });
    // The secret is there, so that nothing is said of it.
    expect(warnings).toEqual([{ pointer: '/transport/tls/starttls', detail: expect.stringContaining('unencrypted') }]);
    expect(report.map(({ name }: { name: string }) => name)).toEqual(Object.keys(properties));
    const outcomes = Object.fromEntries(
      report.map(({ name, outcome }: { name: string; outcome: string }) => [name, outcome]),
    );
    expect(outcomes).toMatchObject({
      'mail.smtp.password': 'used',
      'mail.smtp.starttls.enable': 'insecure',
      'mail.smtps.host': 'wrongPrefix',
      'mail.smtp.hots': 'ignored',
    });
    expect(await kept('corpus')).toEqual({ 'corpus-smtp-password': secrets.smtp });

    const read = await mailroom.expect(200, 'GET', '/api/accounts/corpus');
    expect(read.json).toEqual(account);
    expect(read.headers.get('etag')).toBe(made.headers.get('etag'));
  });

  it('sends by it: signed in, with its envelope sender and its notifications', async () => {
    const { id } = await send(mailroom, 'corpus', { to: 'reader@example.org' });
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    const signIn = Buffer.from(`\0corpus\0${secrets.smtp}`).toString('base64');
    expect(smtp.commands).toContain(`AUTH PLAIN ${signIn}`);
    expect(smtp.commands.find((line) => line.startsWith('MAIL'))).toMatch(
      /^MAIL FROM:<bounces@example\.com>.* RET=HDRS/,
    );
    expect(smtp.commands.find((line) => line.startsWith('RCPT'))).toMatch(
      /^RCPT TO:<reader@example\.org> NOTIFY=FAILURE,DELAY/,
    );
  });

  it('takes the text of a file, and leaves what the import rule of the body says', async () => {
    const text = [
      '# Exchange Online',
      'mail.store.protocol = graph',
      `client.secret = ${secrets.graph}`,
      'client.id = 9f1d2c3b-0000-4000-8000-00000000000a',
      'tenant.id = example.com',
      'user.id = corpus@example.com',
      'deletedelta_day = 3',
      'mail.server = cms01',
    ].join('\r\n');
    const made = await put('office', { properties: text, import: { schedule: null, deleteMode: 'permanent' } });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      from: 'corpus@example.com',
      store: { protocol: 'graph', userId: 'corpus@example.com', credential: { secret: 'office-client-secret' } },
      import: { schedule: null, delete: { afterDays: 3 }, deleteMode: 'permanent' },
    });
    expect(made.json.report).toHaveLength(7);
    expect(await kept('office')).toEqual({ 'office-client-secret': secrets.graph });
  });

  it('names every mistake at once with the report, and stores nothing', async () => {
    const properties = relay({
      'mail.smtp.port': '25a',
      'mail.smtp.user': 'a\r\nb',
      'mail.smtp.password': secrets.refused,
      'mail.smtp.starttls.enable': 'yes',
      'mail.smtp.ssl.trust': 'a,b',
      'mail.smtps.password': secrets.misplaced,
    });
    const answer = await put('wrong', { properties, from: 'a@example.com', store: null, import: { delete: 'often' } });
    expect(problem(answer, 400).pointers).toEqual([
      '/from',
      '/import/delete',
      '/properties/mail.smtp.port',
      '/properties/mail.smtp.ssl.trust',
      '/properties/mail.smtp.starttls.enable',
      '/properties/mail.smtp.user',
      '/store',
    ]);
    expect(answer.json.report.map(({ name }: { name: string }) => name)).toEqual(Object.keys(properties));
    const inText = await put('wrong', { properties: 'mail.smtp.host=h\nmail.smtp.port=x\n' });
    expect(problem(inText, 400).pointers).toEqual(['/properties', '/properties']);
    expect(inText.json.errors[0].detail).toBe('line 2, mail.smtp.port: must be a whole number from 1 to 65535');
    expect(problem(await put('Wrong_Name', { properties: relay() }), 400).pointers).toEqual(['']);
    expect(problem(await put('wrong', { properties: 7 }), 400).pointers).toEqual(['/properties']);
    problem(await mailroom.call('GET', '/api/accounts/wrong'), 404);
    expect(await kept('wrong')).toEqual({});
  });

  it('keeps to If-Match and If-None-Match, and writes no secret where they fail', async () => {
    const signedIn = relay({ 'mail.smtp.user': 'u', 'mail.smtp.password': secrets.smtp });
    const rotated = { ...signedIn, 'mail.smtp.password': secrets.rotated };
    problem(await put('guarded', { properties: signedIn }, { 'if-match': '*' }), 412);
    expect(await kept('guarded')).toEqual({});
    const made = await put('guarded', { properties: signedIn }, { 'if-none-match': '*' });
    const old = made.headers.get('etag') ?? '';
    expect([made.status, old]).toEqual([201, expect.stringMatching(/^"[^"]+"$/)]);
    problem(await put('guarded', { properties: rotated }, { 'if-none-match': '*' }), 412);
    problem(await put('guarded', { properties: rotated }, { 'if-match': '"other"' }), 412);
    expect(await kept('guarded')).toEqual({ 'guarded-smtp-password': secrets.smtp });
    const changed = await put('guarded', { properties: rotated }, { 'if-match': old });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('location')).toBeNull();
    expect(changed.headers.get('etag')).not.toBe(old);
    expect(await kept('guarded')).toEqual({ 'guarded-smtp-password': secrets.rotated });
    problem(await put('guarded', { properties: signedIn }, { 'if-match': old }), 412);
    expect(await kept('guarded')).toEqual({ 'guarded-smtp-password': secrets.rotated });
  });

  it('names a secret that is in Key Vault where the properties hold no password, and warns where it is not', async () => {
    const user = { 'mail.smtp.user': 'u' };
    const auth = (answer: Awaited<ReturnType<typeof put>>) => answer.json.transport.auth;
    const named = { type: 'password', user: 'u', secret: 'guarded-smtp-password' };
    expect(auth(await put('guarded', { properties: relay(user) }))).toEqual(named);
    expect(auth(await put('fresh', { properties: relay(user) }))).toEqual({ type: 'none' });
    const asked = await put('fresh', { properties: relay({ ...user, 'mail.smtp.auth': true }) });
    expect(auth(asked)).toEqual({ ...named, secret: 'fresh-smtp-password' });
    expect(asked.json.warnings).toContainEqual({
      pointer: '/transport/auth/secret',
      detail: expect.stringContaining('not in Key Vault'),
    });
  });

  it('takes the six properties of a mailbox on Graph alone', async () => {
    const six = {
      'client.id': '9f1d2c3b-0000-4000-8000-00000000000a',
      'client.secret': secrets.graph,
      'tenant.id': 'example.com',
      'user.id': 'six@example.com',
      'mail.from': 'six@example.com',
      deletedelta_day: '"3"',
    };
    const made = await put('six', { properties: six });
    expect(made.status).toBe(201);
    const end = { protocol: 'graph', userId: 'six@example.com', credential: { secret: 'six-client-secret' } };
    expect(made.json).toMatchObject({ transport: end, store: end, import: { delete: { afterDays: 3 } } });
    expect(made.json.report.map(({ outcome }: { outcome: string }) => outcome)).toEqual(Array(6).fill('used'));
    expect(made.json.report.at(-1).detail).toContain('without the quotes');
    const trusting = relay({ 'mail.smtp.starttls.enable': true, 'mail.smtp.ssl.trust': '"*"' });
    const quoted = await put('quoted', { properties: trusting });
    expect(quoted.json.transport.tls.trust).toBe('*');
    expect(quoted.json.report).toContainEqual(
      expect.objectContaining({ name: 'mail.smtp.ssl.trust', detail: expect.stringContaining('without the quotes') }),
    );
  });

  it('pasted again keeps what properties cannot say, and says it', async () => {
    const store = {
      'mail.store.protocol': 'imaps',
      'mail.imaps.host': 'mail.example.com',
      'mail.imaps.user': 'again',
      'mail.imaps.password': secrets.smtp,
      'mail.from': 'again@example.com',
    };
    await put('again', { properties: store });
    const { json } = await mailroom.expect(200, 'GET', '/api/accounts/again');
    const more = {
      ...json,
      allowedFrom: ['*@example.com'],
      enabled: false,
      limits: { perMinute: 7, connections: 3 },
      store: { ...json.store, folders: ['INBOX', 'Archive'] },
      import: { ...json.import, schedule: null, since: 'now', markRead: false, moveTo: 'Done', maxMessageSize: 5_000 },
    };
    await mailroom.expect(200, 'PUT', '/api/accounts/again', { body: more });
    const { 'mail.imaps.password': _, ...withoutPassword } = store;
    const pasted = await put('again', { properties: { ...withoutPassword, 'mail.imaps.timeout': 5_000 } });
    const { warnings, report, ...account } = pasted.json;
    expect(account).toEqual({ ...more, store: { ...more.store, timeout: 5_000 } });
    expect(
      report
        .slice(Object.keys(store).length)
        .map(({ name }: { name: string }) => name)
        .sort(),
    ).toEqual([
      'allowedFrom',
      'enabled',
      'import.markRead',
      'import.maxMessageSize',
      'import.moveTo',
      'import.schedule',
      'import.since',
      'limits',
      'store.folders',
    ]);
    // What is said goes before: the body's import rule, and a rule of the properties that excludes what was kept.
    const said = { properties: { ...withoutPassword, deletedelta_day: 2 }, import: { schedule: '0 0 * * * *' } };
    expect((await put('again', said)).json.import).toMatchObject({
      schedule: '0 0 * * * *',
      since: 'now',
      delete: { afterDays: 2 },
      moveTo: null,
    });
    // Nothing that the new store has no place for.
    const pop3 = {
      'mail.store.protocol': 'pop3s',
      'mail.pop3s.host': 'h',
      'mail.pop3s.user': 'u',
      'mail.from': 'a@b.example',
    };
    const other = await put('again', { properties: pop3 });
    expect(other.json.store).toMatchObject({ protocol: 'pop3s', folders: ['INBOX'] });
    expect(other.json.limits).toEqual({ perMinute: 7, connections: 3 });
  });

  it('as a dry run answers what it would answer, and stores neither account nor secret', async () => {
    const properties = relay({ 'mail.smtp.user': 'u', 'mail.smtp.password': secrets.refused });
    const dry = await mailroom.call('PUT', '/api/accounts/dry?dryRun=true', { body: { properties } });
    expect([dry.status, dry.headers.get('etag')]).toEqual([201, null]);
    problem(await mailroom.call('GET', '/api/accounts/dry'), 404);
    expect(await kept('dry')).toEqual({});
    const real = await put('dry', { properties: { ...properties, 'mail.smtp.password': secrets.smtp } });
    expect(real.json).toEqual(dry.json);
    const again = await mailroom.call('PUT', '/api/accounts/dry?dryRun=true', { body: { from: 'other@example.com' } });
    expect([again.status, again.json.from]).toEqual([200, 'other@example.com']);
    expect((await mailroom.expect(200, 'GET', '/api/accounts/dry')).json.from).toContain('corpus@example.com');
    problem(await mailroom.call('PUT', '/api/accounts/dry?dryRun=yes', { body: {} }), 400);
    const wrong = await mailroom.call('PUT', '/api/accounts/dry?dryRun=true', {
      body: { properties: { ...properties, 'mail.smtp.port': 'x' } },
    });
    problem(wrong, 400);
    expect(wrong.json.report).toContainEqual({
      name: 'mail.smtp.password',
      outcome: 'ignored',
      detail: expect.stringContaining('not stored'),
    });
  });

  it('is not mixed with the ordinary form, which answers no report', async () => {
    expect(problem(await put('corpus', { from: 'a@example.com', report: [] }), 400).pointers).toEqual(['/report']);
    expect((await put('corpus', { from: 'a@example.com' })).json).not.toHaveProperty('report');
  });

  it('leaves no secret in answers, log, tables, blobs and queues', async () => {
    const log = await mailroom.log();
    await mailroom.kill();
    await mailroom.azurite.stop();
    const files = await filesUnder(join(mailroom.directory, 'azurite'));
    const where = (text: string) => files.filter(({ bytes }) => holds(bytes, text)).map(({ path }) => path);
    // What must be there is found, so that what is not found is not there.
    expect(where('office-client-secret')).not.toEqual([]);
    for (const secret of Object.values(secrets)) {
      expect(where(secret)).toEqual([]);
      expect(holds(log, secret)).toBe(false);
      expect(answers.filter((answer) => holds(answer, secret))).toEqual([]);
    }
  });
});
