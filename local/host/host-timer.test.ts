import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Azurite, startAzurite } from '../azurite.ts';
import { eventually, startTestHost } from './testdata/test-host.ts';

let azurite: Azurite;
let container: ContainerClient;

beforeAll(async () => {
  azurite = await startAzurite();
  container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
    'azure-webjobs-hosts',
  );
});
afterAll(() => azurite.stop());

interface Run {
  readonly name: string;
  readonly timer: {
    readonly isPastDue: boolean;
    readonly schedule: { readonly adjustForDST: boolean };
    readonly scheduleStatus: { readonly last: string; readonly next: string; readonly lastUpdated: string } | null;
  };
}

const timers = (functions: string) => `
globalThis.timerRuns ??= [];
const note = (timer, ctx) => globalThis.timerRuns.push({ name: ctx.functionName, timer });
${functions}`;
const runs = (name: string): Run[] =>
  (Reflect.get(globalThis, 'timerRuns') ?? []).filter((run: Run) => run.name === name);
const env = (hostId: string) => ({
  AzureWebJobsStorage: azurite.connectionString,
  AzureFunctionsWebHost__hostid: hostId,
  HOURLY: '0 0 * * * *',
  AzureFunctionsJobHost__singleton__listenerLockRecoveryPollingInterval: '00:00:01',
});

test('fires by its schedule, with no status and no overlap when it is very frequent', {
  timeout: 180_000,
}, async () => {
  const host = await startTestHost(
    {
      source: timers(`
        let busy = false; globalThis.overlapped = false;
        const released = new Promise((resolve) => { globalThis.releaseTick = resolve; });
        app.timer('tick', { schedule: '* * * * * *', handler: async (timer, ctx) => {
          globalThis.overlapped ||= busy; busy = true; note(timer, ctx); await released; busy = false; } });
        app.timer('tock', { schedule: '* * * * * *', handler: note });`),
    },
    { env: env('frequent') },
  );
  await eventually('the first run', () => runs('tick').length === 1);
  const during = runs('tock').length;
  await eventually('six occurrences meanwhile', () => runs('tock').length >= during + 6);
  expect(runs('tick')).toHaveLength(1);
  const after = runs('tock').length;
  Reflect.get(globalThis, 'releaseTick')();
  await eventually('two occurrences more', () => runs('tock').length >= after + 2 && runs('tick').length > 1);
  await host.stop();
  expect(runs('tick')[0]?.timer).toEqual({ isPastDue: false, schedule: { adjustForDST: true }, scheduleStatus: null });
  expect(Reflect.get(globalThis, 'overlapped')).toBe(false);
  // One run for all that was missed, and from then on as often as the other.
  expect(runs('tick').length - 1).toBeLessThanOrEqual(runs('tock').length - after + 2);
});

test('writes its status, keeps the lock, is fired by hand, and runs once when an occurrence was missed', async () => {
  const parts = { source: timers(`app.timer('hourly', { schedule: '%HOURLY%', handler: note });`) };
  const first = await startTestHost(parts, { env: env('monitored') });
  const blob = container.getBlockBlobClient('timers/monitored/Host.Functions.hourly/status');
  const text = await eventually('the status', async () =>
    (await blob.exists()) ? (await blob.downloadToBuffer()).toString() : undefined,
  );
  const status = JSON.parse(text);
  expect(status).toMatchObject({ Last: '0001-01-01T00:00:00+00:00' });
  expect(new Date(status.Next).getTime() - Date.now()).toBeLessThanOrEqual(3_600_000);
  expect(status.Next).toMatch(/T\d\d:00:00\+00:00$/);
  const lock = container.getBlobClient('locks/monitored/Host.Functions.hourly.Listener');
  expect((await lock.getProperties()).leaseState).toBe('leased');
  expect((await first.fire('hourly')).status).toBe(202);
  const byHand = await eventually('the run by hand', () => runs('hourly')[0]);
  expect(byHand.timer.scheduleStatus?.next).toBe(status.Next);
  expect(byHand.timer.isPastDue).toBe(false);
  await first.stop();
  expect((await lock.getProperties()).leaseState).toBe('available');

  // Two hours ago it should have run.
  const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  const missed = { Last: new Date(hour - 7_200_000).toISOString(), Next: new Date(hour - 3_600_000).toISOString() };
  const content = JSON.stringify({ ...missed, LastUpdated: missed.Last });
  await blob.upload(content, content.length);
  const second = await startTestHost(parts, { env: env('monitored') });
  const late = await eventually('the run past due', () => runs('hourly')[1]);
  expect(late.timer.isPastDue).toBe(true);
  await eventually('the new status', async () => {
    const now = JSON.parse((await blob.downloadToBuffer()).toString());
    return new Date(now.Next).getTime() > Date.now();
  });
  await second.stop();
  expect(runs('hourly')).toHaveLength(2);
});

test('of two hosts with one id only one runs the timer, and the other takes over', { timeout: 180_000 }, async () => {
  const partsOf = (name: string) => ({
    source: timers(`
      const here = () => globalThis.timerRuns.push({ name: '${name}' });
      app.timer('alone', { schedule: '* * * * * *', handler: here });`),
  });
  const first = await startTestHost(partsOf('in the first'), { env: env('shared') });
  await eventually('the first run', () => runs('in the first').length > 0);
  const second = await startTestHost(partsOf('in the second'), { env: env('shared') });
  await eventually('the word of it', () => second.lines.some((line) => line.includes('runs in another host')));
  const before = runs('in the first').length;
  await eventually('two runs more', () => runs('in the first').length >= before + 2);
  expect(runs('in the second')).toEqual([]);
  await first.stop();
  await eventually('the second host taking over', () => runs('in the second').length > 0);
  await second.stop();
});

test('a failure never stops the schedule, and a function in error stops no other', async () => {
  const host = await startTestHost(
    {
      source: timers(`
        app.timer('flaky', { schedule: '* * * * * *', handler: (timer, ctx) => { note(timer, ctx); throw new Error('not yet'); } });
        app.timer('never', { schedule: '0 0 0 30 2 *', handler: note });
        app.timer('retried', { schedule: '0 0 0 1 1 *', retry: { strategy: 'fixedDelay', maxRetryCount: 2, delayInterval: { seconds: 1 } }, handler: note });
        app.timer('started', { schedule: '0 0 0 1 1 *', runOnStartup: true, handler: note });
        app.timer('wrong', { schedule: '0 0 25 * * *', handler: note });`),
    },
    { env: env('failures') },
  );
  await eventually('two runs that failed', () => runs('flaky').length >= 2);
  await eventually('the warning', () => host.lines.some((line) => line.includes("'never' has no further occurrence")));
  expect(host.host.index.errors).toEqual([
    { name: 'retried', reason: 'this host has no retry policies' },
    { name: 'started', reason: 'runOnStartup: this host runs no timer on start-up' },
    { name: 'wrong', reason: '"25" is no hour of a schedule' },
  ]);
  await host.stop();
});
