import { afterAll, beforeAll, expect, it } from 'vitest';
import { Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';

/** Timers that the platform does not fire. */
let mailroom: Mailroom;
const names = ['import-schedule', 'outbox-recovery', 'outbox-release', 'retention', 'sweep'];

beforeAll(async () => {
  mailroom = await Mailroom.start({
    durable: true,
    env: {
      IMPORT_SCHEDULE: '0 * * * * *',
      ...Object.fromEntries(names.map((name) => [`AzureWebJobs.${name}.Disabled`, 'true'])),
    },
  });
});
afterAll(() => mailroom?.stop());

it('health says so, and a call does their work', async () => {
  const body = {
    from: 'corpus@example.com',
    store: { protocol: 'pop3', host: '127.0.0.1', port: 9, auth: { type: 'none' }, tls: { starttls: 'never' } },
  };
  const put = await mailroom.call('PUT', '/api/accounts/corpus', { body });
  expect(put.status, put.bytes.toString()).toBe(201);
  const first = await mailroom.expect(200, 'GET', '/api/health');
  expect(Object.keys(first.json.timers).sort()).toEqual(names);

  await mailroom.setClock(3_600_000);
  const late = await mailroom.expect(503, 'GET', '/api/health');
  expect(late.json.checks.timers).toMatch(/^import-schedule has not run since .*outbox-recovery has not run since/);
  expect(late.json.checks.timers).not.toContain('sweep');
  expect((await mailroom.expect(503, 'GET', '/api/health', { key: null })).json).toEqual({ status: 'unhealthy' });

  problem(await mailroom.call('GET', '/api/accounts/nobody'), 404);
  await until('the import that the schedule was to queue', 60, async () =>
    (await mailroom.log()).includes("Executing 'Functions.mail-import'"),
  );
  expect(await mailroom.log()).toMatch(/"event":"timer\.overdue".*"timer":"import-schedule"/);
  await mailroom.expect(200, 'GET', '/api/health');
});
