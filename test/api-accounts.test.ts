import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom } from './support/mailroom.ts';
import { problem } from './support/problem.ts';

let mailroom: Mailroom;

beforeAll(async () => {
  mailroom = await Mailroom.start();
});

afterAll(() => mailroom?.stop());

const accounts = '/api/accounts';

const smtpAndImap = {
  from: 'Corpus <corpus@example.com>',
  transport: { protocol: 'smtp', host: 'mail.example.com', port: 587 },
  store: {
    protocol: 'imaps',
    host: 'mail.example.com',
    auth: { type: 'password', user: 'corpus', secret: 'corpus-imap' },
  },
  import: { schedule: null },
};

const put = (name: string, body: unknown, headers: Record<string, string> = {}) =>
  mailroom.call('PUT', `${accounts}/${name}`, { body, headers });

const minimal = (name: string) => ({ from: `${name}@example.com`, import: { schedule: null } });

describe('accounts', () => {
  it('are made, read, changed and deleted', async () => {
    const made = await put('corpus', smtpAndImap);
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe('/api/accounts/corpus');
    expect(made.headers.get('etag')).toMatch(/^"[^"]+"$/);
    expect(made.headers.get('content-type')).toMatch(/^application\/json\b/);
    const { warnings, ...account } = made.json;
    // As it will be used: every default is reported.
    expect(account).toEqual({
      name: 'corpus',
      from: 'Corpus <corpus@example.com>',
      allowedFrom: [],
      transport: {
        protocol: 'smtp',
        host: 'mail.example.com',
        port: 587,
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
        auth: { type: 'password', user: 'corpus', secret: 'corpus-imap' },
        tls: { starttls: 'preferred', ca: null, minVersion: 'TLSv1.2' },
        connectionTimeout: 30_000,
        timeout: 60_000,
        folders: ['INBOX'],
      },
      import: {
        schedule: null,
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
    });
    expect(warnings).toEqual([{ pointer: '/store/auth/secret', detail: expect.stringContaining('not in Key Vault') }]);

    const read = await mailroom.expect(200, 'GET', `${accounts}/corpus`);
    expect(read.json).toEqual(account);
    expect(read.headers.get('etag')).toBe(made.headers.get('etag'));

    // What is read can be put back.
    const same = await put('corpus', read.json);
    const { warnings: _, ...again } = same.json;
    expect([same.status, again]).toEqual([200, account]);
    expect(same.headers.get('location')).toBeNull();
    expect(same.headers.get('etag')).not.toBe(made.headers.get('etag'));

    await mailroom.expect(204, 'DELETE', `${accounts}/corpus`);
    problem(await mailroom.call('GET', `${accounts}/corpus`), 404);
    problem(await mailroom.call('DELETE', `${accounts}/corpus`), 404);
    expect((await put('corpus', smtpAndImap)).status).toBe(201);
  });

  it('are changed only where the version is the one that was read', async () => {
    const old = (await put('guarded', minimal('guarded'))).headers.get('etag') ?? '';
    problem(await put('guarded', minimal('guarded'), { 'if-none-match': '*' }), 412);
    const changed = await put('guarded', minimal('guarded'), { 'if-match': old });
    expect(changed.status).toBe(200);
    problem(await put('guarded', minimal('guarded'), { 'if-match': old }), 412);
    problem(await mailroom.call('DELETE', `${accounts}/guarded`, { headers: { 'if-match': old } }), 412);
    problem(await put('guarded', minimal('guarded'), { 'if-match': 'no quotes' }), 400);
    problem(await put('not-yet', minimal('not-yet'), { 'if-match': '*' }), 412);
    expect((await put('not-yet', minimal('not-yet'), { 'if-none-match': '*' })).status).toBe(201);
    const now = changed.headers.get('etag') ?? '';
    await mailroom.expect(204, 'DELETE', `${accounts}/guarded`, { headers: { 'if-match': now } });
  });

  it('changed by many at once: the last one wins, or the first where they name a version', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => put('race', minimal('race'))));
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
    const etag = (await mailroom.expect(200, 'GET', `${accounts}/race`)).headers.get('etag') ?? '';
    expect(all.map(({ headers }) => headers.get('etag'))).toContain(etag);
    const named = await Promise.all(
      Array.from({ length: 8 }, () => put('race', minimal('race'), { 'if-match': etag })),
    );
    expect(named.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
  });

  it('every mistake is reported at once, and nothing is stored', async () => {
    const answer = await put('wrong', {
      name: 'other',
      bogus: 1,
      from: 'no address',
      transport: { protocol: 'smpt', host: 'mail.example.com' },
      store: {
        protocol: 'imap',
        host: 'a host',
        port: '993',
        auth: { type: 'password', user: 'x', secret: 'other-imap', password: 'hunter2' },
        nope: true,
      },
      import: { schedule: 'often', delete: 'sometimes', moveTo: 'inbox', since: 'yesterday' },
      enabled: 'yes',
    });
    expect(problem(answer, 400).pointers).toEqual([
      '/bogus',
      '/enabled',
      '/from',
      '/import/delete',
      '/import/moveTo',
      '/import/moveTo',
      '/import/schedule',
      '/import/since',
      '/name',
      '/store/auth/password',
      '/store/auth/secret',
      '/store/host',
      '/store/nope',
      '/store/port',
      '/transport/protocol',
    ]);
    expect(answer.bytes.toString()).not.toContain('hunter2');
    problem(await mailroom.call('GET', `${accounts}/wrong`), 404);
    expect(problem(await put('Wrong_Name', { bogus: 1 }), 400).pointers).toEqual(['', '/bogus', '/from']);
  });

  it.each([
    ['{', 'application/json', 400],
    ['', 'application/json', 400],
    ['[]', 'application/json', 400],
    ['"text"', 'application/json', 400],
    [Buffer.from([0x22, 0xe9, 0x22]), 'application/json', 400],
    ['{}', 'text/plain', 415],
    ['{}', 'application/json; charset=iso-8859-1', 415],
    ['from=x', 'application/x-www-form-urlencoded', 415],
  ])('a body %j of type %s is refused with %i', async (text, type, status) => {
    const raw = Buffer.from(text);
    const answer = await mailroom.call('PUT', `${accounts}/wrong`, { raw, headers: { 'content-type': type } });
    problem(answer, status);
    expect(answer.headers.get('accept')).toBe(status === 415 ? 'application/json' : null);
  });

  it('an account may not name or write the secret of another whose name begins like its own', async () => {
    const store = { protocol: 'imaps', host: 'h', auth: { type: 'password', user: 'u', secret: 'pair-two-imap' } };
    const body = { from: 'pair@example.com', store };
    const secret = (account: string) => `${accounts}/${account}/secrets/pair-two-imap`;
    const value = { body: { value: 'a value of twelve or more' } };
    // As long as nobody has written it, it is a name like any other.
    expect((await put('pair', body)).status).toBe(201);
    expect((await put('pair-two', { from: 'two@example.com' })).status).toBe(201);
    await mailroom.expect(200, 'PUT', secret('pair-two'), value);
    expect(problem(await put('pair', body), 400).mistakes).toEqual({
      '/store/auth/secret': 'is a secret of the account pair-two',
    });
    problem(await mailroom.call('PUT', secret('pair'), value), 400);
    // It stays so while its account is away, and is free once it is deleted with it and purged.
    await mailroom.expect(200, 'DELETE', `${accounts}/pair-two`);
    problem(await put('pair', body), 400);
  });

  it('are changed by a merge patch, where the version is the one that was read', async () => {
    await put('patched', {
      ...smtpAndImap,
      store: { ...smtpAndImap.store, auth: { ...smtpAndImap.store.auth, secret: 'patched-imap' } },
    });
    const read = await mailroom.expect(200, 'GET', `${accounts}/patched`);
    const etag = read.headers.get('etag') ?? '';
    const patch = (body: unknown, headers: Record<string, string> = {}) =>
      mailroom.call('PATCH', `${accounts}/patched`, { body, headers });
    const changed = await patch(
      { transport: { port: 25 }, import: { delete: { afterDays: 3 } } },
      { 'if-match': etag },
    );
    const { warnings: _, ...account } = changed.json;
    expect([changed.status, account]).toEqual([
      200,
      {
        ...read.json,
        transport: { ...read.json.transport, port: 25 },
        import: { ...read.json.import, delete: { afterDays: 3 } },
      },
    ]);
    problem(await patch({ enabled: false }, { 'if-match': etag }), 412);
    // Null takes a member away: then its default applies.
    const less = await patch({ transport: null, import: { delete: null } });
    expect(less.json).not.toHaveProperty('transport');
    expect(less.json.import.delete).toBe('never');
    // Where null is also a value of the field, the answer says what it did.
    const scheduled = await patch({ import: { schedule: null }, limits: { perMinute: null } });
    expect(scheduled.json.import.schedule).toBe('0 */5 * * * *');
    const said = scheduled.json.warnings.filter(({ detail }: { detail: string }) => detail.includes('RFC 7396'));
    expect(said).toEqual([
      {
        pointer: '/import/schedule',
        detail: expect.stringMatching(/default applies: 0 \*\/5 .*PUT the account with null/),
      },
    ]);
    const onRequest = await put('patched', { ...scheduled.json, warnings: undefined, import: { schedule: null } });
    expect(onRequest.json.import.schedule).toBe(null);
    const other = await patch({ enabled: true });
    expect(other.json.import.schedule).toBe(null);
    expect(JSON.stringify(other.json.warnings)).not.toContain('RFC 7396');
    expect(problem(await patch({ bogus: 1, import: { delete: 'often' } }), 400).pointers).toEqual([
      '/bogus',
      '/import/delete',
    ]);
    problem(await patch([]), 400);
    problem(await mailroom.call('PATCH', `${accounts}/nobody`, { body: {} }), 404);
    const all = await Promise.all(Array.from({ length: 6 }, (_, n) => patch({ limits: { perMinute: n + 1 } })));
    expect(all.map(({ status }) => status)).toEqual(Array(6).fill(200));
  });

  it('a label for a name is answered with a name that would do', async () => {
    expect(problem(await put('Corpus_Mail', minimal('x')), 400).mistakes['']).toContain('try "corpus-mail"');
    expect(problem(await put('-Übung 1-', minimal('x')), 400).mistakes['']).toContain('try "ubung-1"');
    expect(problem(await put('___', minimal('x')), 400).mistakes['']).not.toContain('try');
  });

  it('deleted with or without their secrets, which the answer names', async () => {
    const store = (name: string) => ({
      protocol: 'imaps',
      host: 'h',
      auth: { type: 'password', user: 'u', secret: `${name}-imap` },
    });
    const make = async (name: string) => {
      await put(name, { ...minimal(name), store: store(name) });
      await mailroom.secret(name, `${name}-imap`, `the password of ${name}`);
      await mailroom.secret(name, `${name}-spare`, `a spare one of ${name}`);
    };
    await make('leaves');
    const left = await mailroom.expect(200, 'DELETE', `${accounts}/leaves`);
    expect(left.json).toEqual({
      account: 'leaves',
      secrets: [
        { name: 'leaves-imap', deleted: false },
        { name: 'leaves-spare', deleted: false },
      ],
    });
    await make('leaves');
    const gone = await mailroom.expect(200, 'DELETE', `${accounts}/leaves?secrets=true`);
    expect(gone.json.secrets).toEqual([
      { name: 'leaves-imap', deleted: true },
      { name: 'leaves-spare', deleted: true },
    ]);
    // Key Vault keeps the names: the same account may write to them again, and they are recovered for it.
    await make('leaves');
    const status = await mailroom.expect(200, 'GET', `${accounts}/leaves/status`);
    expect(status.json.secrets).toEqual([{ name: 'leaves-imap', state: 'ok', expiresAt: null }]);
    problem(await mailroom.call('DELETE', `${accounts}/leaves?secrets=perhaps`), 400);
  });

  it('a body of more than 1 MiB is refused with 413', async () => {
    problem(await put('wrong', { from: 'a'.repeat(1 << 20) }), 413);
  });

  it('are listed newest first, page by page', async () => {
    for (const name of ['list-c', 'list-a', 'list-b']) await put(name, minimal(name));
    const all = await mailroom.expect(200, 'GET', accounts);
    const names: string[] = all.json.items.map((account: { name: string }) => account.name);
    expect(names.slice(0, 3)).toEqual(['list-b', 'list-a', 'list-c']);
    // A change makes an account no newer.
    await put('list-c', { ...minimal('list-c'), enabled: false });
    expect((await mailroom.expect(200, 'GET', `${accounts}?top=1`)).json.items[0].name).toBe('list-b');
    // A page that ends with the last item is the last.
    const whole = await mailroom.expect(200, 'GET', `${accounts}?top=${names.length}`);
    expect(Object.keys(whole.json)).toEqual(['items']);
    expect(all.json).not.toHaveProperty('continue');
    const paged: string[] = [];
    for (let token = ''; ; ) {
      const { json } = await mailroom.expect(200, 'GET', `${accounts}?top=2${token}`);
      expect(json.items.length).toBeLessThanOrEqual(2);
      paged.push(...json.items.map((account: { name: string }) => account.name));
      if (json.continue === undefined) break;
      token = `&continue=${json.continue}`;
    }
    expect(paged).toEqual(names);
    expect(problem(await mailroom.call('GET', `${accounts}?top=0&continue=!`), 400).pointers).toEqual([
      '/continue',
      '/top',
    ]);
    problem(await mailroom.call('GET', `${accounts}?top=1001`), 400);
    problem(await mailroom.call('GET', `${accounts}?top=1&top=2`), 400);
  });

  it('one that another version saved and this one cannot read does not take the others down', async () => {
    await put('from-later', minimal('from-later'));
    await put('neighbour', minimal('neighbour'));
    const table = TableClient.fromConnectionString(mailroom.azurite.connectionString, 'accounts', {
      allowInsecureConnection: true,
    });
    const json0 = JSON.stringify({ ...minimal('from-later'), fieldOfLater: 1 });
    await table.updateEntity({ partitionKey: 'accounts', rowKey: 'from-later', json0 }, 'Merge');
    const { json } = await mailroom.expect(200, 'GET', accounts);
    const names = json.items.map((account: { name: string }) => account.name);
    expect(names).toContain('neighbour');
    expect(names).not.toContain('from-later');
    problem(await mailroom.call('GET', `${accounts}/from-later`), 500);
    expect(await mailroom.log()).toContain('Account from-later cannot be read as it is stored: /fieldOfLater');
    expect((await put('from-later', minimal('from-later'))).status).toBe(200);
    await mailroom.expect(200, 'GET', `${accounts}/from-later`);
  });
});
