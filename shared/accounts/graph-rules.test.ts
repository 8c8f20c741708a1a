import { describe, expect, it } from 'vitest';
import { Refusal } from '../platform/refusal.ts';
import { secretsOf } from './destinations.ts';
import { type RuleOptions, resolveAccount } from './rules.ts';

const ids = { tenantId: 'contoso.onmicrosoft.com', clientId: '66666666-7777-8888-9999-aaaaaaaaaaaa' };
const credential = { type: 'clientSecret', ...ids, secret: 'corpus-graph' };
const graph = { protocol: 'graph', userId: 'corpus@example.com', credential };
const base = { from: 'Corpus <corpus@example.com>' };

function mistakesOf(input: unknown) {
  try {
    resolveAccount('corpus', input);
    return [];
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'invalid') return error.mistakes ?? [];
    throw error;
  }
}

describe('an account on Graph', () => {
  it('fills in every default, and resolves to itself', () => {
    const { account, warnings } = resolveAccount('corpus', { ...base, transport: graph, store: graph });
    expect(account).toMatchObject({
      transport: { ...graph, cloud: 'global', sendMode: 'draft' },
      store: { ...graph, cloud: 'global', folders: ['inbox'] },
      import: { deleteMode: 'trash', delete: 'never', markRead: true },
    });
    expect(account.store).not.toHaveProperty('port');
    expect(warnings).toEqual([]);
    expect(resolveAccount('corpus', account).account).toEqual(account);
  });

  it('may sign in by certificate or managed identity, and names its secrets', () => {
    const certificate = { ...credential, type: 'certificate', secret: 'corpus-cert' };
    const { account } = resolveAccount('corpus', {
      ...base,
      transport: { ...graph, credential: { type: 'managedIdentity' } },
      store: { ...graph, credential: certificate, folders: ['inbox', 'inbox/Invoices', 'id:AAMkAD_-='] },
    });
    expect(secretsOf(account)).toMatchObject([
      { pointer: '/store/credential/secret', name: 'corpus-cert', kind: 'certificate' },
    ]);
  });

  it.each([
    [{ transport: { ...graph, userId: '../other' } }, '/transport/userId', /object id/],
    [{ transport: { ...graph, userId: '..' } }, '/transport/userId', /object id/],
    [
      { transport: { ...graph, credential: { ...credential, secret: 'other-graph' } } },
      '/transport/credential/secret',
      /must start with "corpus-"/,
    ],
    [{ store: { ...graph, credential: { ...credential, clientId: 'x' } } }, '/store/credential/clientId', /GUID/],
    [{ store: { ...graph, credential: { ...credential, tenantId: '../x' } } }, '/store/credential/tenantId', /tenant/],
    [{ store: { ...graph, credential: { type: 'password' } } }, '/store/credential/type', /type password/],
    [{ store: { ...graph, host: 'mail.example.com' } }, '/store/host', /./],
    [{ store: { ...graph, cloud: 'mars' } }, '/store/cloud', /./],
    [{ store: { ...graph, folders: ['inbox', 'Inbox'] } }, '/store/folders/1', /twice/],
    [{ store: { ...graph, folders: ['a//b'] } }, '/store/folders/0', /path such as/],
    [{ store: graph, import: { moveTo: 'INBOX' } }, '/import/moveTo', /must not be one of the folders/],
    [{ store: graph, import: { moveTo: 'a\\b' } }, '/import/moveTo', /path such as/],
  ])('explains what is wrong with %j', (input, pointer, detail) => {
    expect(mistakesOf({ ...base, ...input })).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
  });

  it('takes push on Graph alone, and imports by the hour then', () => {
    const scheduleOf = (store: unknown, rule?: unknown, options?: RuleOptions) =>
      resolveAccount('corpus', { ...base, store, ...(rule ? { import: rule } : {}) }, options).account.import.schedule;
    const pushed = { ...graph, push: true };
    const { account, warnings } = resolveAccount('corpus', { ...base, store: pushed });
    expect([account.store, warnings]).toEqual([expect.objectContaining({ push: true }), []]);
    expect(resolveAccount('corpus', account).account).toEqual(account);
    expect(scheduleOf(graph)).toBe('0 */5 * * * *');
    expect(scheduleOf(pushed)).toBe('0 0 * * * *');
    expect(scheduleOf(pushed, { schedule: '0 */10 * * * *' })).toBe('0 */10 * * * *');
    expect(scheduleOf(pushed, undefined, { reachable: false })).toBe('0 */5 * * * *');
    const imap = { protocol: 'imap', host: 'mail.example.com', auth: { type: 'none' }, push: true };
    expect(mistakesOf({ ...base, store: imap })).toEqual([{ pointer: '/store/push', detail: expect.any(String) }]);
  });

  it.each([
    [{ store: {} }, { reachable: false }, '/store/push', /PUBLIC_URL/],
    [{ store: {}, import: { schedule: null } }, {}, '/import/schedule', /waits for the next one/],
    [{ store: { userId: "o'neil@example.com" } }, {}, '/store/userId', /object id/],
  ])('warns of what push lacks in %j', ({ store, ...rest }, options, pointer, detail) => {
    const input = { ...base, store: { ...graph, push: true, ...store }, ...rest };
    expect(resolveAccount('corpus', input, options).warnings).toEqual([
      { pointer, detail: expect.stringMatching(detail) },
    ]);
  });

  it('warns where a cloud cannot delete for good', () => {
    const input = { ...base, store: { ...graph, cloud: 'china' }, import: { deleteMode: 'permanent' } };
    expect(resolveAccount('corpus', input).warnings).toEqual([
      { pointer: '/import/deleteMode', detail: expect.stringMatching(/Deleted Items/) },
    ]);
  });
});
