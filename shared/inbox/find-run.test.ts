import { expect, it } from 'vitest';
import { newestFirstId } from '../platform/ids.ts';
import { findRun, runsOf } from './find-run.ts';
import { importOnce, TestInbox } from './inbox.test-support.ts';
import { announceRun } from './ledger/runs.ts';
import { acquireLease } from './session/lease.ts';
import { readTurn } from './session/turn-row.ts';

const options = { signal: new AbortController().signal };

it('a run is found by its row, as the last one, and as the one under way; no other is', async () => {
  const inbox = new TestInbox();
  const find = (id: string) => findRun(inbox.context, inbox.name, id, options);
  expect(runsOf(await readTurn(inbox.context, inbox.name))).toEqual([]);
  const announced = await announceRun(inbox.context, inbox.name);
  expect(await find(announced.id)).toEqual(announced);
  // It found nothing, so that it has no row.
  const last = await importOnce(inbox);
  expect(await find(last.id)).toEqual(last);
  const lease = await acquireLease(inbox.context, inbox.name, { runId: newestFirstId(inbox.now), purpose: 'import' });
  if (!('release' in lease)) return expect.fail('the lease is not free');
  const [underWay, ...others] = runsOf(await readTurn(inbox.context, inbox.name));
  expect([underWay?.status, others]).toEqual(['running', [last]]);
  expect(await find(underWay?.id ?? '')).toEqual(underWay);
  expect(await find(newestFirstId(inbox.now))).toBeUndefined();
  await lease.release();
});
