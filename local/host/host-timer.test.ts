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
  readonly retry: { readonly retryCount: number; readonly exception?: { readonly message: string } } | undefined;
  readonly at: number;
}

const timers = (functions: string) => `
globalThis.timerRuns ??= [];
const note = (timer, ctx) => globalThis.timerRuns.push({ name: ctx.functionName, timer, retry: ctx.retryContext, at: Date.now() });
${functions}`;
const runs = (name: string): Run[] =>
  (Reflect.get(globalThis, 'timerRuns') ?? []).filter((run: Run) => run.name === name);
const env = (hostId: string) => ({
  AzureWebJobsStorage: azurite.connectionString,
  AzureFunctionsWebHost__hostid: hostId,
  HOURLY: '0 0 * * * *',
  AzureFunctionsJobHost__singleton__listenerLockRecoveryPollingInterval: '00:00:01',
});

test('fires by its schedule, with no status and no overlap when it is very frequent', async () => {
  const host = await startTestHost(
    {
      source: timers(`
        let busy = false; globalThis.overlapped = false;
        app.timer('tick', { schedule: '* * * * * *', handler: async (timer, ctx) => {
          globalThis.overlapped ||= busy; busy = true; note(timer, ctx);
          await new Promise((resolve) => setTimeout(resolve, 1200)); busy = false; } });`),
    },
    { env: env('frequent') },
  );
  await eventually('three runs', () => runs('tick').length >= 3);
  await host.stop();
  expect(runs('tick')[0]?.timer).toEqual({ isPastDue: false, schedule: { adjustForDST: true }, scheduleStatus: null });
  expect(Reflect.get(globalThis, 'overlapped')).toBe(false);
  // Longer than its interval: the next run follows at once, and what was missed in between does not pile up.
  const [first = 0, second = 0, third = 0] = runs('tick').map((run) => run.at);
  expect(second - first).toBeLessThan(1_900);
  expect(third - second).toBeLessThan(1_900);
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

test('of two hosts with one id only one runs the timer, and the other takes over', async () => {
  const parts = {
    source: timers(`app.timer('alone', { schedule: '0 0 0 1 1 *', runOnStartup: true, handler: note });`),
  };
  const first = await startTestHost(parts, { env: env('shared') });
  await eventually('the first run', () => runs('alone').length === 1);
  const second = await startTestHost(parts, { env: env('shared') });
  await eventually('being told so', () => second.lines.some((line) => line.includes('runs in another host')));
  expect(runs('alone')).toHaveLength(1);
  await first.stop();
  await eventually('the second host taking over', () => runs('alone').length === 2);
  await second.stop();
});

test('a failure is retried by the policy and never stops the schedule', async () => {
  const host = await startTestHost(
    {
      source: timers(`
        app.timer('flaky', { schedule: '0 0 0 1 1 *', runOnStartup: true,
          retry: { strategy: 'fixedDelay', maxRetryCount: 2, delayInterval: { milliseconds: 0 } },
          handler: (timer, ctx) => { note(timer, ctx); throw new Error('not yet'); } });
        app.timer('never', { schedule: '0 0 0 30 2 *', handler: note });
        app.timer('wrong', { schedule: '0 0 25 * * *', handler: note });`),
    },
    { env: env('retries') },
  );
  await eventually('three tries', () => runs('flaky').length === 3);
  expect(runs('flaky').map((run) => run.retry?.retryCount)).toEqual([undefined, 1, 2]);
  expect(runs('flaky')[2]?.retry?.exception?.message).toBe('not yet');
  await eventually('the warning', () => host.lines.some((line) => line.includes("'never' has no further occurrence")));
  expect(host.host.index.errors).toEqual([{ name: 'wrong', reason: '"25" is no hour of a schedule' }]);
  await host.stop();
});
