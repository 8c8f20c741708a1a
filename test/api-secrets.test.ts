import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mailroom, singleFunctionKeys, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { type ScriptedSmtp, startScriptedSmtp } from './support/scripted-smtp.ts';
import { endedRecord, send, waitingRecord } from './support/sending.ts';
import { vaultClient } from './support/vault-client.ts';

let mailroom: Mailroom;
let vault: Awaited<ReturnType<typeof vaultClient>>;
/** The server of the account, and one that an editor of the account would like the password to go to. */
let own: ScriptedSmtp;
let theirs: ScriptedSmtp;

beforeAll(async () => {
  own = await startScriptedSmtp({ extensions: ['AUTH PLAIN'] });
  theirs = await startScriptedSmtp({ extensions: ['AUTH PLAIN'] });
  mailroom = await Mailroom.start();
  vault = await vaultClient(mailroom);
});

afterAll(async () => {
  await mailroom?.stop();
  await own?.stop();
  await theirs?.stop();
});

const accounts = '/api/accounts';
const password = (account: string) => `the password of ${account}`;
const editor = singleFunctionKeys['account-put'];

const relay = (account: string, secret: string, more: Readonly<Record<string, unknown>> = {}) => ({
  from: `${account}@example.com`,
  transport: {
    protocol: 'smtp',
    host: '127.0.0.1',
    port: own.port,
    tls: { starttls: 'never' },
    auth: { type: 'password', user: account, secret },
    ...more,
  },
  import: { schedule: null },
});

const put = (name: string, body: unknown, key?: string) =>
  mailroom.call('PUT', `${accounts}/${name}`, { body, ...(key === undefined ? {} : { key }) });

const putSecret = (account: string, name: string, value: string) =>
  mailroom.call('PUT', `${accounts}/${account}/secrets/${name}`, { body: { value } });

/** Passwords that a server was shown. */
const shown = (server: ScriptedSmtp) =>
  server.commands.flatMap((line) => {
    const [, text] = /^AUTH PLAIN (.+)$/.exec(line) ?? [];
    return text === undefined ? [] : [Buffer.from(text, 'base64').toString().split('\0')[2]];
  });

describe('a secret is one account’s', () => {
  it('also where letter case differs (corpus names corpus-TWO-smtp)', async () => {
    await put('corpus-two', relay('corpus-two', 'corpus-two-smtp'));
    expect((await putSecret('corpus-two', 'corpus-two-smtp', password('corpus-two'))).status).toBe(200);
    const answer = await put('corpus', relay('corpus', 'corpus-TWO-smtp'));
    expect(problem(answer, 400).mistakes).toEqual({
      '/transport/auth/secret': 'is a secret of the account corpus-two',
    });
    await put('corpus', relay('corpus', 'corpus-smtp'));
    expect((await putSecret('corpus', 'CORPUS-Two-smtp', 'overwritten')).status).toBe(400);
    expect((await vault.getSecret('corpus-two-smtp')).value).toBe(password('corpus-two'));
    // Its own it may write in any letter case.
    expect((await putSecret('corpus', 'Corpus-SMTP', password('corpus'))).status).toBe(200);
    const { id } = await send(mailroom, 'corpus');
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    expect(shown(own)).toEqual([password('corpus')]);
  });

  it('not that of an account which is made later and whose name begins like it (shop, shop-smtp)', async () => {
    await put('shop', relay('shop', 'shop-smtp-password'));
    await putSecret('shop', 'shop-smtp-password', password('shop'));
    const { properties } = await vault.getSecret('shop-smtp-password');
    expect(properties.tags).toEqual({ account: 'shop', kind: 'password' });
    const later = relay('shop-smtp', 'shop-smtp-password', { port: theirs.port });
    problem(await put('shop-smtp', later), 400);
    problem(await mailroom.call('GET', `${accounts}/shop-smtp`), 404);
    // Pasted properties would give it that name.
    const properties2 = { 'mail.smtp.host': 'h', 'mail.smtp.user': 'u', 'mail.from': 'a@example.com' };
    const named = { ...properties2, 'mail.smtp.auth': 'true' };
    await put('shop', { properties: { ...named, 'mail.smtp.password': password('shop') } });
    expect((await vault.getSecret('shop-smtp-password')).value).toBe(password('shop'));
  });

  it('and of one kind: a client secret is sent to no server as a password (office, office-client)', async () => {
    const credential = {
      type: 'clientSecret',
      tenantId: 'example.com',
      clientId: '33333333-3333-4333-8333-333333333333',
      secret: 'office-client-secret',
    };
    const store = { protocol: 'graph', userId: 'office@example.com', credential };
    await put('office', { from: 'office@example.com', store, import: { schedule: null } });
    await putSecret('office', 'office-client-secret', 'the client secret of office');
    expect((await vault.getSecret('office-client-secret')).properties.tags).toEqual({
      account: 'office',
      kind: 'clientSecret',
    });
    problem(await put('office-client', relay('office-client', 'office-client-secret', { port: theirs.port })), 400);
    const both = { ...relay('office', 'office-client-secret', { port: theirs.port }), store };
    expect(problem(await put('office', both), 400).pointers).toContain('/transport/auth/secret');
    expect(shown(theirs)).toEqual([]);
  });

  it('made by hand it belongs to the first account that uses it, and that is kept when it is rotated by hand', async () => {
    await vault.setSecret('yard-smtp-password', password('yard'));
    expect((await put('yard', relay('yard', 'Yard-smtp-password'))).status).toBe(201);
    const { properties } = await vault.getSecret('yard-smtp-password');
    expect(properties.tags).toEqual({ account: 'yard', kind: 'password' });
    problem(await put('yard-smtp', relay('yard-smtp', 'yard-smtp-password')), 400);
    // A new version that is made by hand has no tags.
    await vault.setSecret('yard-smtp-password', 'rotated by hand');
    problem(await put('yard-smtp', relay('yard-smtp', 'yard-smtp-password')), 400);
    await expect
      .poll(async () => {
        await mailroom.expect(200, 'POST', `${accounts}/yard/verify`);
        return shown(own).at(-1);
      })
      .toBe('rotated by hand');
  });

  it('also where the app may not write tags: that is kept beside the vault', async () => {
    await vault.setSecret('noted-smtp-password', password('noted'));
    mailroom.keyVault.refuse('update', 'rbac');
    try {
      expect((await put('noted', relay('noted', 'noted-smtp-password'))).status).toBe(201);
      expect((await vault.getSecret('noted-smtp-password')).properties.tags ?? {}).toEqual({});
      problem(await put('noted-smtp', relay('noted-smtp', 'noted-smtp-password', { port: theirs.port })), 400);
      const { json } = await mailroom.expect(200, 'POST', `${accounts}/noted/verify`);
      expect(json.status).toBe('ok');
    } finally {
      mailroom.keyVault.refuse('update', undefined);
    }
  });

  it('and a write that Key Vault refuses is explained, and stores nothing', async () => {
    await put('unwritten', { from: 'unwritten@example.com' });
    for (const [refusal, status, detail] of [
      ['rbac', 503, /Key Vault Secrets Officer/],
      ['firewall', 503, /firewall/],
      ['beingDeleted', 409, /quarter of a minute/],
    ] as const) {
      mailroom.keyVault.refuse('set', refusal);
      const refused = await putSecret('unwritten', 'unwritten-smtp', 'never to be kept');
      mailroom.keyVault.refuse('set', undefined);
      expect(problem(refused, status).detail).toMatch(detail);
    }
    const pasted = {
      'mail.smtp.host': 'h',
      'mail.smtp.user': 'u',
      'mail.smtp.password': 'x',
      'mail.from': 'a@b.example',
    };
    mailroom.keyVault.refuse('set', 'rbac');
    problem(await put('unmade', { properties: pasted }), 503);
    mailroom.keyVault.refuse('set', undefined);
    problem(await mailroom.call('GET', `${accounts}/unmade`), 404);
  });

  it('is not used any more once its tags name another', async () => {
    await put('moved', relay('moved', 'moved-smtp', { port: theirs.port }));
    await putSecret('moved', 'moved-smtp', password('moved'));
    const { properties } = await vault.getSecret('moved-smtp');
    const tags = { account: 'moved-away', kind: 'password' };
    await vault.updateSecretProperties('moved-smtp', properties.version ?? '', { tags });
    const { json } = await mailroom.expect(200, 'POST', `${accounts}/moved/verify`);
    expect(json.transport.steps).toContainEqual(
      expect.objectContaining({
        step: 'signIn',
        status: 'failed',
        code: 'SECRET_FOREIGN',
        hint: expect.stringContaining('of its own'),
      }),
    );
    expect(shown(theirs)).not.toContain(password('moved'));
  });

  it('one that is written before its account is bound to that name all the same', async () => {
    expect((await putSecret('early', 'early-bird-smtp', password('early'))).status).toBe(200);
    await put('early-bird', { from: 'bird@example.com' });
    problem(await putSecret('early-bird', 'early-bird-smtp', password('moved')), 400);
  });

  it('none is written by a request that is refused', async () => {
    await put('corpus-imap', {
      from: 'a@example.com',
      store: {
        protocol: 'imaps',
        host: 'h',
        auth: { type: 'password', user: 'u', secret: 'corpus-imap-password' },
      },
    });
    await putSecret('corpus-imap', 'corpus-imap-password', password('corpus-imap'));
    const pasted = {
      'mail.store.protocol': 'imap',
      'mail.imap.host': '127.0.0.1',
      'mail.imap.user': 'u',
      'mail.imap.password': 'pasted on corpus',
      'mail.smtp.host': '127.0.0.1',
      'mail.smtp.user': 'u',
      'mail.smtp.password': 'pasted on corpus too',
      'mail.from': 'a@example.com',
    };
    const answer = await put('corpus', { properties: pasted });
    problem(answer, 400);
    expect(answer.json.report).toContainEqual({
      name: 'mail.smtp.password',
      outcome: 'ignored',
      detail: expect.stringContaining('not stored'),
    });
    expect((await vault.getSecret('corpus-imap-password')).value).toBe(password('corpus-imap'));
    await expect(vault.getSecret('nobody-smtp')).rejects.toThrow();
    await expect(vault.getSecret('corpus-smtp-password')).rejects.toThrow();
  });
});

describe('who may edit an account and does not know its password', () => {
  const at = (more: Readonly<Record<string, unknown>>) => relay('kept', 'kept-smtp', more);

  it.each([
    ['host', () => ({ host: 'localhost' })],
    ['port', () => ({ port: theirs.port })],
    ['user', () => ({ auth: { type: 'password', user: 'other', secret: 'KEPT-smtp' } })],
    ['protocol', () => ({ protocol: 'smtps' })],
  ])('cannot send it elsewhere by another %s: the account waits', async (field, change) => {
    await put('kept', at({}));
    await putSecret('kept', 'kept-smtp', password('kept'));
    const before = shown(own).length;
    const answer = await put('kept', at(change()), editor);
    expect([answer.status, answer.json.warnings]).toEqual([
      200,
      expect.arrayContaining([
        {
          pointer: '/transport/auth/secret',
          detail: expect.stringMatching(new RegExp(`^waits: ([a-z.]+, )*${field}[, ].*kept-smtp`, 'i')),
        },
      ]),
    ]);
    const { id } = await send(mailroom, 'kept');
    await waitingRecord(mailroom, id);
    const { json } = await mailroom.expect(200, 'GET', `${accounts}/kept/status`);
    expect(json.failing).toContainEqual(
      expect.objectContaining({ side: 'transport', code: 'SECRET_WAITS', hint: expect.stringContaining('again') }),
    );
    // It gains nothing by deleting the account and making it again, or by removing the side and adding it.
    await put('kept', { from: 'kept@example.com' }, editor);
    await put('kept', at(change()), editor);
    const verified = async () => (await mailroom.expect(200, 'POST', `${accounts}/kept/verify`)).json.status;
    expect(await verified()).toBe('failed');
    await mailroom.expect([200, 204], 'DELETE', `${accounts}/kept`);
    await put('kept', at(change()), editor);
    expect(await verified()).toBe('failed');
    expect(shown(own)).toHaveLength(before);
    expect(shown(theirs)).toEqual([]);
    // As long as the account waits, its mail does; an attempt may be under way that learns so.
    await until('the mail taken back', 60, async () => {
      const { status } = await mailroom.expect([200, 409], 'DELETE', `/api/messages/${id}`);
      return status === 200;
    });
    // Back to what it was it works again.
    expect((await put('kept', at({}), editor)).json.warnings).not.toContainEqual(
      expect.objectContaining({ pointer: '/transport/auth/secret' }),
    );
  });

  it.each([
    ['tls.starttls', { starttls: 'required' }, { starttls: 'preferred' }],
    ['tls.trust', {}, { trust: '*' }],
    ['tls.minVersion', { minVersion: 'TLSv1.3' }, { minVersion: 'TLSv1.2' }],
  ])('nor with a weaker %s', async (field, strong, weak) => {
    await put('firm', relay('firm', 'firm-smtp', { tls: strong }));
    await putSecret('firm', 'firm-smtp', password('firm'));
    const waits = [{ pointer: '/transport/auth/secret', detail: expect.stringContaining(`waits: ${field} `) }];
    const weaker = await put('firm', relay('firm', 'firm-smtp', { tls: weak }), editor);
    expect(weaker.json.warnings).toEqual(expect.arrayContaining(waits));
    // What is stronger is free, and does not go down again.
    await put('firm', relay('firm', 'firm-smtp', { tls: weak }));
    const stronger = await put('firm', relay('firm', 'firm-smtp', { tls: strong }), editor);
    expect(JSON.stringify(stronger.json.warnings)).not.toContain('waits');
    const down = await put('firm', relay('firm', 'firm-smtp', { tls: weak }), editor);
    expect(down.json.warnings).toEqual(expect.arrayContaining(waits));
  });

  it('nor by a merge patch, or by pasted properties that name the secret and hold no password', async () => {
    await put('patched', relay('patched', 'patched-smtp-password'));
    await putSecret('patched', 'patched-smtp-password', password('patched'));
    const waits = [
      { pointer: '/transport/auth/secret', detail: expect.stringMatching(/^waits: port .*patched-smtp-password/) },
    ];
    const patched = await mailroom.call('PATCH', `${accounts}/patched`, {
      body: { transport: { port: theirs.port } },
      key: singleFunctionKeys['account-patch'],
    });
    expect(patched.json.warnings).toEqual(expect.arrayContaining(waits));
    await put('patched', relay('patched', 'patched-smtp-password'));
    const properties = {
      'mail.transport.protocol': 'smtp',
      'mail.smtp.host': '127.0.0.1',
      'mail.smtp.port': theirs.port,
      'mail.smtp.starttls.enable': false,
      'mail.smtp.auth': true,
      'mail.smtp.user': 'patched',
      'mail.from': 'patched@example.com',
    };
    const pasted = await put('patched', { properties }, editor);
    expect(pasted.json.warnings).toEqual(expect.arrayContaining(waits));
    const verify = { key: singleFunctionKeys['account-verify'], body: {} };
    expect((await mailroom.expect(200, 'POST', `${accounts}/patched/verify`, verify)).json.status).toBe('failed');
    expect(shown(theirs)).not.toContain(password('patched'));
  });

  it('the secret written anew lets it go there: by its route, or in the same properties', async () => {
    await put('anew', relay('anew', 'anew-smtp-password'));
    await putSecret('anew', 'anew-smtp-password', password('anew'));
    await put('anew', relay('anew', 'anew-smtp-password', { port: theirs.port }), editor);
    await putSecret('anew', 'anew-smtp-password', 'written anew for theirs');
    const { id } = await send(mailroom, 'anew');
    expect((await endedRecord(mailroom, id)).status).toBe('sent');
    expect(shown(theirs)).toEqual(['written anew for theirs']);
    const pasted = {
      'mail.smtp.host': '127.0.0.1',
      'mail.smtp.port': own.port,
      'mail.smtp.starttls.enable': false,
      'mail.smtp.user': 'anew',
      'mail.from': 'anew@example.com',
    };
    const without = await put('anew', { properties: pasted }, editor);
    expect(JSON.stringify(without.json.warnings)).toContain('waits: port ');
    const properties = { ...pasted, 'mail.smtp.password': 'pasted anew for own' };
    mailroom.watch.add('pasted anew for own');
    const pastedAnew = await put('anew', { properties }, editor);
    expect(JSON.stringify(pastedAnew.json.warnings)).not.toContain('waits');
    expect((await endedRecord(mailroom, (await send(mailroom, 'anew')).id)).status).toBe('sent');
    expect(shown(own).at(-1)).toBe('pasted anew for own');
  });

  it('and whoever may write secrets may send it elsewhere at once', async () => {
    await put('free', relay('free', 'free-smtp'));
    await putSecret('free', 'free-smtp', password('free'));
    const moved = await put('free', relay('free', 'free-smtp', { port: theirs.port }));
    expect(JSON.stringify(moved.json.warnings)).not.toContain('waits');
    expect((await endedRecord(mailroom, (await send(mailroom, 'free')).id)).status).toBe('sent');
    expect(shown(theirs).at(-1)).toBe(password('free'));
  });
});
