import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Refusal } from '../platform/refusal.ts';
import { accountInputSchema } from './model.ts';
import { resolveAccount } from './rules.ts';

const smtp = { protocol: 'smtp', host: 'mail.example.com' };
const imaps = { protocol: 'imaps', host: 'mail.example.com' };
const pop = { protocol: 'pop3s', host: 'mail.example.com' };
const app = { type: 'clientSecret', tenantId: 'example.com', clientId: '9f1d2c3b-0000-4000-8000-00000000000a' };
const password = { type: 'password', user: 'corpus', secret: 'corpus-imap' };
const ca = '-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----';
const base = { from: 'Corpus <corpus@example.com>' };

function pointersOf(input: unknown, name = 'corpus'): readonly string[] {
  return mistakesOf(input, name).map((mistake) => mistake.pointer);
}

function mistakesOf(input: unknown, name = 'corpus') {
  try {
    resolveAccount(name, input);
    return [];
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'invalid') return error.mistakes ?? [];
    throw error;
  }
}

describe('resolveAccount', () => {
  it('fills in every default', () => {
    expect(resolveAccount('corpus', { ...base, transport: smtp, store: { ...imaps, auth: password } })).toEqual({
      account: {
        name: 'corpus',
        from: 'Corpus <corpus@example.com>',
        allowedFrom: [],
        transport: {
          protocol: 'smtp',
          host: 'mail.example.com',
          port: 25,
          auth: { type: 'none' },
          tls: { starttls: 'preferred', ca: null, minVersion: 'TLSv1.2' },
          connectionTimeout: 30_000,
          timeout: 60_000,
          saveToSent: false,
        },
        store: {
          protocol: 'imaps',
          host: 'mail.example.com',
          port: 993,
          auth: password,
          tls: { starttls: 'preferred', ca: null, minVersion: 'TLSv1.2' },
          connectionTimeout: 30_000,
          timeout: 60_000,
          folders: ['INBOX'],
        },
        import: {
          schedule: '0 */5 * * * *',
          markRead: true,
          delete: 'never',
          deleteMode: 'permanent',
          moveTo: null,
          since: 'all',
          maxMessageSize: 157_286_400,
        },
        limits: { perMinute: null, connections: 5 },
        webhook: null,
        enabled: true,
        debug: false,
      },
      warnings: [],
    });
  });

  it('resolves its own answer to itself', () => {
    const input = {
      name: 'corpus',
      ...base,
      allowedFrom: ['*@example.com', '*@*.example.com'],
      transport: { ...smtp, port: 587, tls: { starttls: 'required', trust: ['mail.example.com'] } },
      store: { ...imaps, folders: ['INBOX', 'Projekte/2026'] },
      import: { schedule: null, delete: { afterDays: 3 }, deleteMode: 'trash', since: '2026-01-01T00:00:00Z' },
      limits: { connections: 50 },
      enabled: false,
    };
    const { account } = resolveAccount('corpus', input);
    expect(resolveAccount('corpus', JSON.parse(JSON.stringify(account))).account).toEqual(account);
  });

  it('names every mistake at once, those across fields too', () => {
    const input = {
      name: 'other',
      from: 'nobody',
      transport: { ...smtp, port: 0, auth: { type: 'password', user: 'a\r\nb', secret: 'other-smtp' }, folder: 'x' },
      store: { ...imaps, folders: ['INBOX', 'inbox', 'Sent'] },
      import: { schedule: 'hourly', moveTo: 'Inbox', delete: 'immediately', since: 'yesterday' },
      limits: { perMinute: 0, connections: 51 },
      webhook: { url: 'https://x.example' },
      debug: 'yes',
      colour: 'red',
    };
    expect([...pointersOf(input)].sort()).toEqual(
      [
        '/colour',
        '/debug',
        '/from',
        '/import/moveTo',
        '/import/moveTo',
        '/import/schedule',
        '/import/since',
        '/limits/connections',
        '/limits/perMinute',
        '/name',
        '/store/folders/1',
        '/transport/auth/secret',
        '/transport/auth/user',
        '/transport/folder',
        '/transport/port',
        '/webhook/secret',
      ].sort(),
    );
  });

  it.each([
    [{ ...base, transport: { protocol: 'ews' } }, '/transport/protocol', 'protocol ews is not supported'],
    [{ ...base, transport: { protocol: 'pop3', host: 'h' } }, '/transport/protocol', 'protocol pop3 is not supported'],
    [{ ...base, store: { protocol: 'smtp', host: 'h' } }, '/store/protocol', 'protocol smtp is not supported'],
    [{ ...base, store: { ...pop, folders: ['INBOX', 'Old'] } }, '/store/folders', /no folders/],
    [{ ...base, store: pop, import: { moveTo: 'Done' } }, '/import/moveTo', /no folders/],
    [{ ...base, store: pop, import: { deleteMode: 'trash' } }, '/import/deleteMode', /no trash/],
    [{ ...base, store: { host: 'h' } }, '/store/protocol', 'is required'],
    [{ ...base, store: { ...imaps, auth: { type: 'ntlm' } } }, '/store/auth/type', 'type ntlm is not supported'],
    [{ ...base, transport: { ...smtp, saveToSent: true } }, '/transport/saveToSent', /needs a store on imap or imaps/],
    [
      { ...base, store: { ...pop, auth: { type: 'oauth2', user: 'u', credential: { ...app, secret: 'other-x' } } } },
      '/store/auth/credential/secret',
      /must start with/,
    ],
    [{ ...base, import: { moveTo: 'Done', delete: { afterDays: 3 } } }, '/import/moveTo', /excludes delete/],
    [{ ...base, import: { delete: { afterDays: 0 } } }, '/import/delete/afterDays', /at least 1/],
    [
      { ...base, store: { ...imaps, auth: { ...password, secret: 'corpus-' } } },
      '/store/auth/secret',
      /must start with/,
    ],
    [{ ...base, store: { ...imaps, auth: { ...password, secret: 'corpus2-x' } } }, '/store/auth/secret', /"corpus-"/],
    [{ ...base, store: { ...imaps, host: 'https://h' } }, '/store/host', /without scheme/],
    [{ ...base, store: { ...imaps, host: 'mail.example.com:993' } }, '/store/host', /without scheme or port/],
    [{ ...base, store: { ...imaps, host: '127.0.0.1:993' } }, '/store/host', /without scheme or port/],
    [{ ...base, store: { ...imaps, folders: ['a\nb'] } }, '/store/folders/0', /line breaks/],
    [{ ...base, transport: { ...smtp, tls: { ca: 'x' } } }, '/transport/tls/ca', /PEM/],
    [{ ...base, allowedFrom: ['example.com'] }, '/allowedFrom/0', /address/],
    [{}, '/from', 'is required'],
    [null, '', 'must be an object'],
  ])('explains what is wrong with %j', (input, pointer, detail) => {
    expect(mistakesOf(input)).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
  });

  it('adapts its defaults to what the protocol can do', () => {
    const onPop = resolveAccount('corpus', { ...base, store: { ...pop, auth: password } });
    expect(onPop).toMatchObject({
      account: { store: { port: 995, folders: ['INBOX'] }, import: { markRead: false, deleteMode: 'permanent' } },
      warnings: [],
    });
    const graph = { protocol: 'graph', userId: 'corpus@example.com', credential: { ...app, secret: 'corpus-app' } };
    const onGraph = (limits: unknown) => resolveAccount('corpus', { ...base, transport: graph, limits }).account.limits;
    expect(
      [onGraph({}), onGraph({ perMinute: null }), onGraph({ perMinute: 5 })].map((each) => each.perMinute),
    ).toEqual([30, null, 5]);
  });

  it('resolves an account that was answered once to itself', () => {
    for (const ends of [{ store: pop }, { transport: { protocol: 'imaps', host: 'h' } }, { store: imaps }]) {
      const { account } = resolveAccount('corpus', { ...base, ...ends });
      expect(resolveAccount('corpus', account).account).toEqual(account);
    }
  });

  it('refuses a name that is none', () => {
    for (const name of ['', 'A', '-a', 'a_b', 'a'.repeat(33), '../x']) expect(pointersOf(base, name)).toEqual(['']);
  });

  it.each([
    [{}, '', /neither/],
    [{ transport: { ...smtp, tls: { trust: '*' } } }, '/transport/tls/trust', /not checked/],
    [{ transport: { ...smtp, tls: { trust: ['other.example.com'] } } }, '/transport/tls/trust', /refused/],
    [{ transport: { ...smtp, tls: { minVersion: 'TLSv1' } } }, '/transport/tls/minVersion', /RFC 8996/],
    [{ transport: { ...smtp, timeout: 0 } }, '/transport/timeout', /no limit/],
    [
      { store: { ...imaps, protocol: 'imap', auth: password, tls: { starttls: 'never' } } },
      '/store/tls/starttls',
      /unencrypted/,
    ],
    [{ transport: { ...smtp, tls: { ca, trust: ['mail.example.com'] } } }, '/transport/tls/ca', /not used/],
    [{ transport: { ...smtp, tls: { ca } } }, '/transport/tls/ca', /no readable bundle/],
    [{ transport: { ...smtp, protocol: 'smtps', tls: { starttls: 'never' } } }, '/transport/tls/starttls', /not used/],
    [{ store: pop }, '/store/auth', /always signs in/],
    [{ transport: imaps }, '/transport/auth', /PREAUTH/],
    [{ store: { ...pop, auth: password }, import: { markRead: true } }, '/import/markRead', /no read state/],
    [{ sender: 'bounces@example.com', transport: { ...imaps, auth: password } }, '/sender', /without an envelope/],
  ])('warns of %j', (input, pointer, detail) => {
    expect(resolveAccount('corpus', { ...base, ...input }).warnings).toEqual([
      { pointer, detail: expect.stringMatching(detail) },
    ]);
  });

  it('has a schema that OpenAPI can show', () => {
    const schema = JSON.stringify(z.toJSONSchema(accountInputSchema, { io: 'input' }));
    expect(schema).toContain('"schedule"');
    expect(schema).toContain('"smtps"');
  });
});
