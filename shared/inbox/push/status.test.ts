import { beforeEach, expect, it } from 'vitest';
import { MemoryRows } from '../../../test/support/memory-rows.ts';
import { resolveAccount } from '../../accounts/rules.ts';
import { askedKey, folderKey, partition, subscriptionKey } from './keys.ts';
import { pushStatus } from './status.ts';
import { insertRow } from './subscription-rows.ts';
import { subscriptionSteps } from './verify.ts';

const now = Date.parse('2026-03-02T08:00:00Z');
const hourMs = 3_600_000;
const signal = new AbortController().signal;
const ids = { tenantId: 'contoso.onmicrosoft.com', clientId: '66666666-7777-8888-9999-aaaaaaaaaaaa' };
const graph = {
  ...{ protocol: 'graph', userId: 'corpus@example.com', push: true },
  credential: { type: 'clientSecret', ...ids, secret: 'corpus-graph' },
} as const;
const folders = ['inbox', 'archive', 'inbox/Invoices', 'junkemail'];
const input = { from: 'corpus@example.com', transport: null, store: { ...graph, folders } };
const { account } = resolveAccount('corpus', input);
const context = { clock: { now: () => now }, publicUrl: 'https://mail.example.com' as string | undefined };
let rows: MemoryRows;

/** The subscriptions are there, refused, run out, and not begun, in the order of the folders. */
beforeEach(async () => {
  rows = new MemoryRows(() => now);
  const { userId, credential } = graph;
  const common = {
    ...{ generation: '0'.repeat(16), fingerprint: 'f', workAt: now, dueAt: now, waitMs: 0, tries: 0 },
    mailbox: { protocol: 'graph', userId, credential, cloud: 'global' },
  } as const;
  const key = (folder: string) => subscriptionKey('corpus', folderKey(folder));
  const refused = { tries: 2, code: 'ErrorAccessDenied', hint: 'Grant Mail.Read' };
  const states = [
    { folder: 'inbox', state: 'active', id: '1', expiresAt: now + hourMs },
    { folder: 'archive', state: 'creating', ...refused },
    { folder: 'inbox/Invoices', state: 'active', id: '2', expiresAt: now },
  ] as const;
  for (const each of states) await insertRow({ rows }, { ...common, ...each, key: key(each.folder) });
  await rows.write(partition, [
    { kind: 'put', key: askedKey('corpus'), columns: { beginsAt: now - hourMs, at: now - hourMs } },
  ]);
});

it('the status has for each folder how long its subscription lives, or why there is none', async () => {
  const status = await pushStatus({ ...context, rows }, account, { signal });
  expect(status).toEqual({
    reachable: true,
    lastNotification: '2026-03-02T07:00:00.000Z',
    folders: [
      { folder: 'inbox', state: 'active', expiresAt: '2026-03-02T09:00:00.000Z' },
      {
        ...{ folder: 'archive', state: 'failing', expiresAt: null },
        ...{ code: 'ErrorAccessDenied', hint: 'Grant Mail.Read' },
      },
      { folder: 'inbox/Invoices', state: 'pending', expiresAt: null },
      { folder: 'junkemail', state: 'pending', expiresAt: null },
    ],
  });
});

it('the status says so where Graph never told of mail', async () => {
  await rows.write(partition, [{ kind: 'delete', key: askedKey('corpus') }]);
  expect(await pushStatus({ ...context, rows }, account, { signal })).toMatchObject({ lastNotification: null });
});

it('a verification has a step for each, which fails where Graph refuses', async () => {
  const began = performance.now();
  const steps = await subscriptionSteps({ ...context, rows }, account, { isStored: true, signal });
  const tookMs = Math.ceil(performance.now() - began);
  // What a step took cannot be more than what all took.
  for (const { ms } of steps) expect(ms).toBeLessThanOrEqual(tookMs);
  expect(steps.map(({ step, status, detail, code }) => ({ step, status, detail, code }))).toEqual([
    { step: 'subscription', status: 'ok', detail: 'inbox: until 2026-03-02T09:00:00.000Z', code: undefined },
    { step: 'subscription', status: 'failed', detail: 'archive', code: 'ErrorAccessDenied' },
    { step: 'subscription', status: 'unknown', detail: 'inbox/Invoices', code: undefined },
    { step: 'subscription', status: 'unknown', detail: 'junkemail', code: undefined },
  ]);
  expect(steps.map(({ hint }) => hint)).toEqual([
    undefined,
    'Grant Mail.Read',
    expect.stringContaining('in a minute'),
    expect.stringContaining('in a minute'),
  ]);
});

it('a verification ends with the time for it', async () => {
  const options = { isStored: true, signal: AbortSignal.abort() };
  await expect(subscriptionSteps({ ...context, rows }, account, options)).rejects.toThrow('abort');
});

it('an account that is only described has no subscription yet', async () => {
  const steps = await subscriptionSteps({ ...context, rows }, account, { isStored: false, signal });
  expect(new Set(steps.map(({ status, hint }) => `${status} ${hint}`))).toEqual(
    new Set(['unknown It is made when the account is stored.']),
  );
});

it('an app that Graph cannot call says so, and fails nothing', async () => {
  const alone = { ...context, publicUrl: undefined, rows };
  const status = await pushStatus(alone, account, { signal });
  expect(status).toMatchObject({ reachable: false });
  expect(status?.folders).toHaveLength(4);
  for (const folder of status?.folders ?? []) {
    expect(folder).toMatchObject({ state: 'none', expiresAt: null, code: 'NO_PUBLIC_URL' });
  }
  const steps = await subscriptionSteps(alone, account, { isStored: true, signal });
  expect(new Set(steps.map(({ status, code }) => `${status} ${code}`))).toEqual(new Set(['unknown NO_PUBLIC_URL']));
});

it.each([
  ['without push', { ...input, store: { ...input.store, push: false } }],
  ['that is disabled', { ...input, enabled: false }],
])('an account %s has neither state nor steps', async (_, other) => {
  const { account: silent } = resolveAccount('corpus', other);
  expect(await pushStatus({ ...context, rows }, silent, { signal })).toBeNull();
  expect(await subscriptionSteps({ ...context, rows }, silent, { isStored: true, signal })).toEqual([]);
});
