import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Mistake, Refusal } from '../../platform/refusal.ts';
import { resolveAccount } from '../rules.ts';
import { accountFromProperties } from './account-from-properties.ts';
import { knownNames } from './known-properties.ts';
import { propertiesFormSchema, propertyReportSchema } from './properties-form.ts';

const directory = new URL('testdata/', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, directory), 'utf8');
const sets = readdirSync(directory)
  .filter((file) => file.endsWith('.properties'))
  .map((file) => file.replace('.properties', ''));

const app = {
  'client.id': '9f1d2c3b-0000-4000-8000-00000000000a',
  'client.secret': 'app~secret',
  'tenant.id': 'example.com',
  'user.id': 'corpus@example.com',
};
const smtp = { 'mail.transport.protocol': 'smtp', 'mail.smtp.host': 'mail.example.com', 'mail.from': 'a@example.com' };
const imaps = { 'mail.store.protocol': 'imaps', 'mail.imaps.host': 'mail.example.com', 'mail.from': 'a@example.com' };

type Body = Readonly<Record<string, unknown>>;

async function made(body: Body, { name = 'corpus', keyVault = [] as readonly string[] } = {}) {
  const found = await accountFromProperties(name, body, { hasSecret: async (secret) => keyVault.includes(secret) });
  const { account, warnings } = resolveAccount(name, found.input);
  return {
    account,
    warnings: [...found.notes, ...warnings],
    report: found.report,
    secrets: Object.fromEntries(found.secrets.map((secret) => [secret.name, secret.value])),
  };
}

async function refused(body: Body, name = 'corpus') {
  try {
    await made(body, { name });
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== 'invalid') throw error;
    const report = error.details.report;
    return {
      mistakes: error.mistakes ?? [],
      report: report === undefined ? [] : z.array(propertyReportSchema).parse(report),
    };
  }
  throw new Error('nothing was refused');
}

/** What the report says of one property. */
async function reported(properties: Body, name: string, more: { readonly import?: unknown } = {}) {
  const { report } = await made({ properties, ...more });
  const entry = report.find((each) => each.name === name);
  return entry && [entry.outcome, entry.detail];
}

/** As a text; values here need no escapes. */
const asText = (properties: Body) =>
  Object.entries(properties)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');

const mistakeSchema = z.strictObject({ property: z.string(), line: z.int().optional(), detail: z.string() });
const expectedSchema = z.strictObject({
  properties: z.record(z.string(), z.unknown()),
  account: z.unknown().optional(),
  warnings: z.unknown().optional(),
  report: z.array(propertyReportSchema),
  secrets: z.record(z.string(), z.string()).optional(),
  mistakes: z.array(mistakeSchema).optional(),
});

describe('property sets as administrators have them', () => {
  it('are twelve', () => expect(sets.length).toBe(12));

  describe.each(sets)('%s', (set) => {
    const { properties, mistakes, report, ...expected } = expectedSchema.parse(JSON.parse(read(`${set}.json`)));
    const text = read(`${set}.properties`);
    /** JSON has each name once; the text may have it more often. */
    const once = report.filter(({ detail }) => !detail.startsWith('given again'));
    const forms = [
      { form: 'as JSON', body: { properties }, report: once },
      { form: 'as the text of a file', body: { properties: text }, report },
      { form: 'as the text of a file from Windows', body: { properties: text.replaceAll('\n', '\r\n') }, report },
    ];

    it.each(forms)('$form', async ({ body, report }) => {
      if (mistakes === undefined) {
        expect(await made(body)).toEqual({ ...expected, report });
        return;
      }
      const inText = typeof body.properties === 'string';
      const pointer = ({ property, line, detail }: (typeof mistakes)[number]): Mistake => {
        if (!inText) return { pointer: `/properties/${property}`, detail };
        return {
          pointer: '/properties',
          detail: line === undefined ? `${property} ${detail}` : `line ${line}, ${property}: ${detail}`,
        };
      };
      expect(await refused(body)).toEqual({ mistakes: mistakes.map(pointer), report });
    });

    it.each(forms)('$form: no value of a secret is repeated', async ({ body }) => {
      const secrets = Object.entries(properties)
        .filter(([name]) => /pass|secret/.test(name))
        .map(([, value]) => String(value));
      const answer = await made(body).catch((error: unknown) => error);
      const shown =
        answer instanceof Refusal
          ? [answer.message, answer.stack, answer.mistakes, answer.details]
          : { ...(answer as object), secrets: undefined };
      const json = JSON.stringify(shown);
      for (const secret of secrets) expect(json).not.toContain(JSON.stringify(secret).slice(1, -1));
    });
  });
});

describe('accountFromProperties', () => {
  it('reports every property once and in order, whatever it is', async () => {
    const names = [...knownNames, 'mail.smtp.hots', 'x', '__proto__', 'constructor', 'mail..', 'mail.smtp.', ''];
    const properties = JSON.parse(`{${names.map((name) => `${JSON.stringify(name)}:"1"`).join(',')}}`);
    const { report } = await refused({ properties });
    expect(report.map(({ name }) => name)).toEqual(names);
    expect(report.every(({ detail }) => detail.length > 0)).toBe(true);
  });

  it.each([
    ['smtp', 'smtps', 465],
    ['imap', 'imaps', 993],
    ['pop3', 'pop3s', 995],
  ])('%s with ssl.enable is %s, and its secret keeps the name of the property', async (prefix, protocol, port) => {
    const side = prefix === 'smtp' ? 'transport' : 'store';
    const { account, secrets } = await made({
      properties: {
        [`mail.${side}.protocol`]: prefix,
        [`mail.${prefix}.host`]: 'h',
        [`mail.${prefix}.ssl.enable`]: 'TRUE',
        [`mail.${prefix}.user`]: 'u',
        [`mail.${prefix}.password`]: 'p',
        'mail.from': 'a@b.example',
      },
    });
    expect(account[side]).toMatchObject({ protocol, port, auth: { secret: `corpus-${prefix}-password` } });
    expect(secrets).toEqual({ [`corpus-${prefix}-password`]: 'p' });
  });

  it('takes smtp and imap on one prefix for both endpoints of an imap account', async () => {
    const { account, report } = await made({
      properties: {
        'mail.transport.protocol': 'imap',
        'mail.store.protocol': 'imap',
        'mail.imap.host': 'mail.example.com',
        'mail.imap.user': 'corpus@example.com',
        'mail.imap.password': 'p',
        'mail.imap.starttls.required': true,
      },
    });
    expect(account).toMatchObject({
      transport: { protocol: 'imap', folder: 'INBOX', tls: { starttls: 'required' } },
      store: { protocol: 'imap', auth: { secret: 'corpus-imap-password' } },
    });
    expect(report.find(({ name }) => name === 'mail.imap.host')?.detail).toBe(
      'host of the transport; host of the store',
    );
  });

  describe('signing in by smtp', () => {
    const auth = async (more: Body, keyVault: readonly string[] = []) => {
      const { account, secrets } = await made({ properties: { ...smtp, ...more } }, { keyVault });
      return [account.transport?.protocol === 'smtp' ? account.transport.auth.type : undefined, Object.keys(secrets)];
    };
    const user = { 'mail.smtp.user': 'u' };
    const password = { 'mail.smtp.password': 'p' };
    const secret = 'corpus-smtp-password';

    it.each([
      ['nothing', {}, 'none', []],
      ['a user alone', user, 'none', []],
      ['a user and a password', { ...user, ...password }, 'password', [secret]],
      ['auth=true and a user', { ...user, 'mail.smtp.auth': true }, 'password', []],
      ['auth=false', { ...user, ...password, 'mail.smtp.auth': false }, 'none', []],
      ['a user of all protocols', { 'mail.user': 'u', ...password }, 'password', [secret]],
      ['an app', app, 'oauth2', ['corpus-client-secret']],
      ['a part of an app', { 'client.secret': 'x', 'tenant.id': 'example.com' }, 'none', []],
      ['an app and a password', { ...app, ...user, ...password }, 'password', [secret]],
      [
        'an app, a password, XOAUTH2',
        { ...app, ...user, ...password, 'mail.smtp.auth.mechanisms': 'PLAIN XOAUTH2' },
        'oauth2',
        ['corpus-client-secret'],
      ],
      ['an app and auth=false', { ...app, 'mail.smtp.auth': false }, 'none', []],
    ])('%s', async (_, properties, type, secrets) => {
      expect(await auth(properties)).toEqual([type, secrets]);
    });

    it('a user alone, and the secret is in Key Vault', async () => {
      expect(await auth(user, [secret])).toEqual(['password', []]);
      expect(await auth(user, ['corpus-smtps-password'])).toEqual(['none', []]);
    });

    it('a relay beside a store of Exchange Online stays without', async () => {
      const { account } = await made({ properties: { ...smtp, ...imaps, ...app } });
      expect(account).toMatchObject({ transport: { auth: { type: 'none' } }, store: { auth: { type: 'oauth2' } } });
    });

    it('beside Graph it takes the app only by XOAUTH2', async () => {
      const mixed = { ...smtp, ...app, 'mail.store.protocol': 'graph', 'mail.smtp.auth': true, ...user };
      const plain = await made({ properties: mixed });
      expect(plain.account).toMatchObject({
        transport: { auth: { type: 'password', secret } },
        store: { protocol: 'graph' },
      });
      const oauth = await made({ properties: { ...mixed, 'mail.smtp.auth.mechanisms': 'XOAUTH2' } });
      expect(oauth.account.transport).toMatchObject({ auth: { type: 'oauth2', user: 'u' } });
    });
  });

  it.each([
    // Timeouts, ms.
    [{ 'mail.smtp.connectiontimeout': 5000 }, { connectionTimeout: 5000, timeout: 60_000 }],
    [
      { 'mail.smtp.connectiontimeout': '-1', 'mail.smtp.timeout': '0' },
      { connectionTimeout: 0, timeout: 0 },
    ],
    [{ 'mail.smtp.timeout': '0x3e8' }, { timeout: 1000 }],
    [{ 'mail.smtp.timeout': 1000, 'mail.smtp.writetimeout': 9000 }, { timeout: 9000 }],
    [{ 'mail.smtp.timeout': 9000, 'mail.smtp.writetimeout': 1000 }, { timeout: 9000 }],
    [{ 'mail.smtp.timeout': 9000, 'mail.smtp.writetimeout': -1 }, { timeout: 0 }],
    [{ 'mail.smtp.writetimeout': 1000 }, { timeout: 60_000 }],
    [{ 'mail.smtp.timeout': 2_147_483_647 }, { timeout: 86_400_000 }],
    // TLS.
    [{}, { tls: { starttls: 'preferred', minVersion: 'TLSv1.2' } }],
    [{ 'mail.smtp.starttls.enable': true }, { tls: { starttls: 'preferred' } }],
    [{ 'mail.smtp.starttls.enable': 'False' }, { tls: { starttls: 'never' } }],
    [{ 'mail.smtp.starttls.required': true }, { tls: { starttls: 'required' } }],
    [{ 'mail.smtp.starttls.enable': false, 'mail.smtp.starttls.required': true }, { tls: { starttls: 'required' } }],
    [{ 'mail.smtp.starttls.required': false }, { tls: { starttls: 'preferred' } }],
    [{ 'mail.smtp.ssl.trust': ' * ' }, { tls: { trust: '*' } }],
    [{ 'mail.smtp.ssl.trust': ' MAIL.example.com\t b ' }, { tls: { trust: ['MAIL.example.com', 'b'] } }],
    [{ 'mail.smtp.ssl.protocols': 'TLSv1.3' }, { tls: { minVersion: 'TLSv1.3' } }],
    [{ 'mail.smtp.ssl.protocols': 'TLSv1.3 TLSv1.1 SSLv3' }, { tls: { minVersion: 'TLSv1.1' } }],
    // SMTP.
    [{ 'mail.smtp.dsn.notify': 'never' }, { dsn: { notify: ['never'] } }],
    [{ 'mail.smtp.dsn.notify': 'SUCCESS,failure , DELAY' }, { dsn: { notify: ['success', 'failure', 'delay'] } }],
    [{ 'mail.smtp.dsn.ret': 'full' }, { dsn: { ret: 'full' } }],
    [{ 'mail.smtp.localhost': 'me.example.com' }, { heloName: 'me.example.com' }],
    [{ 'mail.smtp.port': ' 2525 ' }, { port: 2525 }],
  ])('%j → %j', async (properties, transport) => {
    const { account } = await made({ properties: { ...smtp, ...properties } });
    expect(account.transport).toMatchObject(transport);
    // A text says the same.
    expect((await made({ properties: asText({ ...smtp, ...properties }) })).account).toEqual(account);
  });

  it.each([
    [{ 'mail.smtp.starttls.enable': false }, 'mail.smtp.starttls.enable', 'insecure', /never/],
    [{ 'mail.smtp.ssl.trust': '*' }, 'mail.smtp.ssl.trust', 'insecure', /neither the chain nor the name/],
    [{ 'mail.smtp.ssl.trust': 'other.example' }, 'mail.smtp.ssl.trust', 'used', /refused, as in Jakarta Mail/],
    [{ 'mail.smtp.ssl.protocols': 'TLSv1.1' }, 'mail.smtp.ssl.protocols', 'insecure', /RFC 8996/],
    [
      { 'mail.smtp.ssl.checkserveridentity': false },
      'mail.smtp.ssl.checkserveridentity',
      'ignored',
      /always checked.*ssl\.trust/,
    ],
    [{ 'mail.smtp.ssl.checkserveridentity': true }, 'mail.smtp.ssl.checkserveridentity', 'used', /always checked/],
    [
      { 'mail.smtp.ssl.checkserveridentity': true, 'mail.smtp.ssl.trust': '*' },
      'mail.smtp.ssl.checkserveridentity',
      'insecure',
      /neither/,
    ],
    [
      { 'mail.smtps.host': 'x.example' },
      'mail.smtps.host',
      'wrongPrefix',
      /smtp reads only mail\.smtp\.\*.*mail\.smtp\.host is given and sets host/,
    ],
    [
      { 'mail.smtps.localhost': 'x' },
      'mail.smtps.localhost',
      'wrongPrefix',
      /mail\.smtp\.localhost would set transport\.heloName/,
    ],
    [
      { 'mail.imap.port': 143 },
      'mail.imap.port',
      'ignored',
      /neither sends nor fetches by imap: the transport is smtp/,
    ],
    [{ 'mail.imap.localhost': 'x' }, 'mail.imap.localhost', 'ignored', /only smtp and smtps have it/],
    [{ 'mail.imap.password': 'x' }, 'mail.imap.password', 'ignored', /not kept/],
    [{ 'mail.host': 'x' }, 'mail.host', 'ignored', /a host of its own/],
    [{ 'mail.user': 'x' }, 'mail.user', 'ignored', /there is no password/],
    [{ 'client.secret': 'x', 'mail.smtp.auth': false }, 'client.secret', 'ignored', /not kept/],
    [{ 'user.id': 'x' }, 'user.id', 'ignored', /no mailbox/],
    [{ deletedelta_day: 3 }, 'deletedelta_day', 'ignored', /no store/],
    [{ 'mail.server': 'cms' }, 'mail.server', 'ignored', /old platform/],
    [{ 'mail.smtp.localport': 1 }, 'mail.smtp.localport', 'ignored', /picks the local port/],
    [{ 'mail.smtp.socketFactory.port': 465 }, 'mail.smtp.socketFactory.port', 'ignored', /ssl\.enable=true/],
    [{ 'mail.smtp.quitwait': false }, 'mail.smtp.quitwait', 'ignored', /not known here/],
    [{ 'mail.smtp.auth.mechanisms': 'NTLM' }, 'mail.smtp.auth.mechanisms', 'ignored', /nobody signs in/],
    [{ 'mail.smtp.timeout': '' }, 'mail.smtp.timeout', 'ignored', /empty/],
    [{ 'mail.smtp.host ': 'x' }, 'mail.smtp.host ', 'ignored', /did you mean mail\.smtp\.host\?/],
  ])('%j: %s is %s', async (properties, name, outcome, detail) => {
    expect(await reported({ ...smtp, ...properties }, name)).toEqual([outcome, expect.stringMatching(detail)]);
  });

  it.each([
    [3, undefined, { afterDays: 3 }, 'used', /3 × 24 hours/],
    ['0', undefined, 'immediately', 'used', /immediately/],
    [-1, undefined, 'never', 'used', /never/],
    [3, { markRead: false }, { afterDays: 3 }, 'used', /3/],
    [3, { delete: 'never' }, 'never', 'ignored', /import\.delete of the request decides/],
    [3, { moveTo: 'Done' }, 'never', 'ignored', /import\.moveTo of the request decides/],
    [3, { moveTo: null, schedule: null }, { afterDays: 3 }, 'used', /3/],
  ])('deletedelta_day %j with import %j: %j', async (days, rule, expected, outcome, detail) => {
    const properties = { ...imaps, 'mail.imaps.user': 'u', deletedelta_day: days };
    const body = { properties, ...(rule === undefined ? {} : { import: rule }) };
    expect((await made(body)).account.import).toMatchObject({ ...rule, delete: expected });
    expect(await reported(properties, 'deletedelta_day', rule === undefined ? {} : { import: rule })).toEqual([
      outcome,
      expect.stringMatching(detail),
    ]);
  });

  it('says what Jakarta Mail would do otherwise', async () => {
    const { warnings } = await made({
      properties: { 'mail.smtp.host': 'h', 'mail.smtp.port': 465, 'mail.smtp.from': 'b@example.com' },
    });
    expect(warnings).toEqual([
      { pointer: '/transport/protocol', detail: expect.stringContaining('smtp, as in Jakarta Mail') },
      { pointer: '/from', detail: expect.stringContaining('mail.smtp.from') },
      { pointer: '/transport/port', detail: expect.stringContaining('mail.smtp.ssl.enable=true') },
      { pointer: '/transport/tls/starttls', detail: expect.stringContaining('would not encrypt') },
      { pointer: '/transport/connectionTimeout', detail: expect.stringContaining('30000 ms') },
      { pointer: '/transport/timeout', detail: expect.stringContaining('60000 ms') },
    ]);
  });

  it.each([
    [{ 'mail.host': 'h' }, 'smtp', undefined],
    [{ 'mail.smtps.host': 'h' }, 'smtps', undefined],
    [{ 'mail.smtp.host': 'h', 'mail.smtps.host': 'h' }, 'smtp', undefined],
    [{ 'mail.imap.host': 'h', 'mail.imap.user': 'u' }, undefined, 'imap'],
    [{ 'mail.imap.host': 'h', 'mail.imap.user': 'u', 'mail.smtp.port': 25 }, undefined, 'imap'],
    [{ 'mail.smtp.host': 'h', 'mail.pop3s.host': 'h', 'mail.pop3s.user': 'u' }, 'smtp', 'pop3s'],
    [{ 'mail.store.protocol': 'POP3', 'mail.host': 'h', 'mail.user': 'u' }, undefined, 'pop3'],
    [{ 'mail.store.protocol': 'graph', ...app, 'mail.imap.host': 'h' }, undefined, 'graph'],
  ])('%j: sends by %s, fetches by %s', async (properties, transport, store) => {
    const { account } = await made({ properties: { 'mail.from': 'a@example.com', ...properties } });
    expect([account.transport?.protocol, account.store?.protocol]).toEqual([transport, store]);
  });

  it.each([
    [{}, ['/properties/mail.from', '/properties/mail.transport.protocol']],
    [
      { 'mail.from': 'a@b.example', 'mail.imap.host': 'h', 'mail.pop3.host': 'h', 'mail.imap.user': 'u' },
      ['/properties/mail.store.protocol'],
    ],
    [{ ...imaps }, ['/properties/mail.imaps.user']],
    [{ ...smtp, 'mail.smtp.auth': true }, ['/properties/mail.smtp.user']],
    [{ ...smtp, 'mail.smtp.password': 'p' }, ['/properties/mail.smtp.password']],
    [{ ...smtp, 'mail.smtp.user': 'u', 'mail.smtp.password': 'a\r\nb' }, ['/properties/mail.smtp.password']],
    [{ ...smtp, 'mail.smtp.auth': 'yes' }, ['/properties/mail.smtp.auth']],
    [{ ...smtp, 'mail.debug': 1 }, ['/properties/mail.debug']],
    [{ ...smtp, 'mail.smtp.ssl.trust': 'a,b' }, ['/properties/mail.smtp.ssl.trust']],
    [{ ...smtp, 'mail.smtp.localhost': 'a b' }, ['/properties/mail.smtp.localhost']],
    [{ ...smtp, 'mail.smtp.from': '<>' }, ['/properties/mail.smtp.from']],
    [{ ...smtp, ...app, 'client.id': 'x', 'mail.smtp.auth.mechanisms': 'XOAUTH2' }, ['/properties/client.id']],
    [
      { ...smtp, 'mail.smtp.user': 'u', 'mail.smtp.auth': true, 'mail.smtp.auth.mechanisms': 'XOAUTH2' },
      ['/properties/mail.smtp.auth.mechanisms'],
    ],
    [
      { 'mail.transport.protocol': 'graph', 'mail.from': 'a@b.example' },
      ['/properties/client.id', '/properties/tenant.id', '/properties/user.id'],
    ],
    [
      { ...app, 'mail.transport.protocol': 'graph', 'user.id': '../x', 'mail.from': 'a@b.example' },
      ['/properties/user.id'],
    ],
    [{ ...smtp, 'mail.transport.protocol': 'pop3' }, ['/properties/mail.transport.protocol']],
    [{ ...smtp, 'mail.smtp.timeout': null }, ['/properties/mail.smtp.timeout']],
    [{ ...smtp, 'a/b~c': {} }, ['/properties/a~1b~0c']],
  ])('refuses %j', async (properties, pointers) => {
    const { mistakes } = await refused({ properties });
    expect([...new Set(mistakes.map(({ pointer }) => pointer))].sort()).toEqual(pointers);
  });

  it('names mistakes of the form, of the import rule and of the properties at once', async () => {
    const { mistakes } = await refused({
      properties: { ...smtp, 'mail.smtp.port': 0 },
      from: 'a@example.com',
      store: {},
      import: { delete: 'sometimes', nope: 1 },
    });
    expect(mistakes.map(({ pointer }) => pointer).sort()).toEqual([
      '/from',
      '/import/delete',
      '/import/nope',
      '/properties/mail.smtp.port',
      '/store',
    ]);
  });

  it.each([
    [null, ['/properties']],
    [5, ['/properties']],
    [['mail.smtp.host'], ['/properties']],
    ['x'.repeat(65_537), ['/properties']],
    ['mail.smtp.host=\\u12', ['/properties']],
    [Array.from({ length: 501 }, (_, index) => `x${index}=1`).join('\n'), ['/properties']],
    [Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`x${index}`, 1])), ['/properties']],
    [`${asText(smtp)}\n${'x'.repeat(201)}=1\ny=${'z'.repeat(4097)}`, ['/properties']],
    [{ ...smtp, y: 'z'.repeat(4097) }, ['/properties/y']],
  ])('refuses what is no set of properties', async (properties, pointers) => {
    const { mistakes } = await refused({ properties });
    expect([...new Set(mistakes.map(({ pointer }) => pointer))]).toEqual(expect.arrayContaining(pointers));
  });

  it('never asks Key Vault for what is no name of an account', async () => {
    const asked: string[] = [];
    const hasSecret = async (name: string) => asked.push(name) > 0;
    const body = { properties: { ...smtp, 'mail.smtp.user': 'u' } };
    await expect(accountFromProperties('../x', body, { hasSecret })).rejects.toMatchObject({ reason: 'invalid' });
    expect(asked).toEqual([]);
    await accountFromProperties('corpus', body, { hasSecret });
    expect(asked).toEqual(['corpus-smtp-password']);
  });

  it('takes the largest set, of names that are all nearly right', async () => {
    const properties = Object.fromEntries(
      Array.from({ length: 500 - 3 }, (_, index) => [`mail.smtp.starttls.enab${index.toString(36)}`, 'x']),
    );
    const { report } = await made({ properties: { ...smtp, ...properties } });
    expect(report.length).toBe(500);
    expect(
      report.filter(({ detail }) => detail.includes('did you mean mail.smtp.starttls.enable?')).length,
    ).toBeGreaterThan(30);
  });

  it('has schemas that OpenAPI can show', () => {
    expect(JSON.stringify(z.toJSONSchema(propertiesFormSchema, { io: 'input' }))).toContain('"schedule"');
    expect(JSON.stringify(z.toJSONSchema(propertyReportSchema))).toContain('"wrongPrefix"');
  });

  it.each([
    ["'", "'"],
    ['"', '"'],
    ['\u201c', '\u201d'],
    ['\u201e', '\u201c'],
  ])('understands values in %s %s, and says so', async (open, close) => {
    const quoted = Object.fromEntries(
      Object.entries({ ...smtp, 'mail.smtp.port': '2525', 'mail.smtp.ssl.trust': 'mail.example.com' }).map(
        ([name, value]) => [name, `${open}${value}${close}`],
      ),
    );
    const { account, report } = await made({ properties: asText(quoted) });
    expect(account.transport).toMatchObject({
      protocol: 'smtp',
      host: 'mail.example.com',
      port: 2525,
      tls: { trust: ['mail.example.com'] },
    });
    expect(report).toHaveLength(5);
    for (const { detail } of report) expect(detail).toContain('understood without the quotes around it');
  });

  it.each([
    ['mail.smtp.port=25 # the relay', 'mail.smtp.port', /from 1 to 65535; a comment behind a value is a part of it/],
    ['mail.smtp.port=25;', 'mail.smtp.port', /from 1 to 65535; the ; at its end is a part of it/],
    ['mail.smtp.host=mail.example.com:587', 'mail.smtp.host', /without scheme or port/],
  ])('says what may be wrong with the writing of %s', async (line, name, detail) => {
    const { mistakes } = await refused({ properties: `${asText(smtp)}\n${line}` });
    expect(mistakes).toEqual([{ pointer: '/properties', detail: expect.stringMatching(detail) }]);
    expect(mistakes[0]?.detail).toContain(`line 4, ${name}: `);
  });

  it('says nothing of the characters of a secret that is wrong', async () => {
    const { mistakes } = await refused({ properties: { ...smtp, 'mail.smtp.password': 'a #b;' } });
    expect(JSON.stringify(mistakes)).not.toMatch(/comment|;"|at its end/);
  });

  it.each([
    [' {"mail.smtp.host":"mail.example.com"}', /JSON.*give the object itself/],
    ['<?xml version="1.0"?>', /XML/],
  ])('names the format of %s, and nothing else', async (properties, detail) => {
    const { mistakes } = await refused({ properties });
    expect(mistakes).toEqual([{ pointer: '/properties', detail: expect.stringMatching(detail) }]);
  });

  it('says that white space around a password is a part of it', async () => {
    const properties = `${asText({ ...smtp, 'mail.smtp.user': 'u' })}\nmail.smtp.password=swordfish  \nx=1`;
    const { secrets, report } = await made({ properties });
    expect(secrets).toEqual({ 'corpus-smtp-password': 'swordfish  ' });
    expect(report.find(({ name }) => name === 'mail.smtp.password')?.detail).toContain('white space around it');
  });

  it('takes the quotes off a client secret, and leaves those of a password, and says which', async () => {
    const properties = {
      'client.id': '11111111-1111-4111-8111-111111111111',
      'tenant.id': 'example.com',
      'mail.from': 'corpus@example.com',
      'client.secret': '"app~secret"',
      'user.id': 'corpus@example.com',
      'mail.smtp.host': 'mail.example.com',
      'mail.smtp.user': 'corpus',
      'mail.smtp.password': '"swordfish"',
      'mail.store.protocol': 'graph',
      'mail.transport.protocol': 'smtp',
    };
    const { secrets } = await made({ properties });
    expect(secrets).toMatchObject({ 'corpus-client-secret': 'app~secret', 'corpus-smtp-password': '"swordfish"' });
    expect(await reported(properties, 'client.secret')).toMatchObject([
      'used',
      expect.stringContaining('without the quotes'),
    ]);
    expect(await reported(properties, 'mail.smtp.password')).toMatchObject([
      'used',
      expect.stringContaining('part of the password'),
    ]);
  });
});
