import { describe, expect, it } from 'vitest';
import { HttpProblem } from '../http/problem.ts';
import { resolveAccount, secretsOf } from './rules.ts';

const ids = { tenantId: 'contoso.onmicrosoft.com', clientId: '66666666-7777-8888-9999-aaaaaaaaaaaa' };
const credential = { type: 'clientSecret', ...ids, secret: 'corpus-graph' };
const graph = { protocol: 'graph', userId: 'corpus@example.com', credential };
const base = { from: 'Corpus <corpus@example.com>' };

function mistakesOf(input: unknown) {
  try {
    resolveAccount('corpus', input);
    return [];
  } catch (error) {
    if (error instanceof HttpProblem && error.status === 400) return error.errors ?? [];
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
    expect(secretsOf(account)).toEqual([{ pointer: '/store/credential/secret', name: 'corpus-cert' }]);
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

  it('warns where a cloud cannot delete for good', () => {
    const input = { ...base, store: { ...graph, cloud: 'china' }, import: { deleteMode: 'permanent' } };
    expect(resolveAccount('corpus', input).warnings).toEqual([
      { pointer: '/import/deleteMode', detail: expect.stringMatching(/Deleted Items/) },
    ]);
  });
});
