import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { poolResultSchema } from '../bench/bare-pool.ts';
import { inFreshProcess } from '../bench/child.ts';
import { executions } from '../bench/executions.ts';
import { startFarServer } from '../bench/far-server.ts';
import { goalText, sectionResultSchema } from '../bench/report.ts';
import { withStarted } from '../bench/started.ts';

/** What the figures of `npm run bench` rest on. */

test('a process that does not answer in time is ended, and said to have taken too long', async () => {
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const mail = { from: 'a@example.com', to: 'b@example.com', raw: 'Subject: x\r\n\r\nx\r\n' };
  const input = { port, connections: 1, warmUp: 0, mails: 1, ...mail };
  const module = new URL('../bench/bare-pool.ts', import.meta.url);
  await expect(inFreshProcess(module, input, poolResultSchema, 1)).rejects.toThrow('took too long');
  silent.close();
  // The process has no connection to it any longer, so that it closes.
  await once(silent, 'close');
});

test('all that was started is stopped, last one first, whichever fails, and the first failure is told', async () => {
  const stopped: string[] = [];
  const work = withStarted(async (started) => {
    await started.add(Promise.resolve('first'), (name) => void stopped.push(name));
    await started.add(Promise.resolve('second'), () => {
      throw new Error('it does not stop');
    });
    await started.add(Promise.resolve('third'), (name) => void stopped.push(name));
  });
  await expect(work).rejects.toThrow('it does not stop');
  expect(stopped).toEqual(['third', 'first']);
  const failing = withStarted(async (started) => {
    await started.add(Promise.resolve('fourth'), (name) => void stopped.push(name));
    await started.add(Promise.reject(new Error('it does not start')), () => stopped.push('never'));
  });
  await expect(failing).rejects.toThrow('it does not start');
  expect(stopped).toEqual(['third', 'first', 'fourth']);
});

test('seconds in which a function ran are those of its executions, and not of the waits between them', () => {
  const log = [
    "[2026-01-01T00:00:00.000Z] Executing 'Functions.import-schedule' (Reason='', Id=0)",
    "[2026-01-01T00:00:01.000Z] Executing 'Functions.mail-import' (Reason='', Id=1)",
    "[2026-01-01T00:00:01.500Z] Executing 'Functions.mail-import' (Reason='', Id=2)",
    "[2026-01-01T00:00:02.000Z] Executed 'Functions.mail-import' (Succeeded, Id=1, Duration=1000ms)",
    "[2026-01-01T00:00:02.250Z] Executed 'Functions.mail-import' (Succeeded, Id=2, Duration=750ms)",
    "[2026-01-01T00:00:03.000Z] Executed 'Functions.import-schedule' (Succeeded, Id=0, Duration=3000ms)",
    "[2026-01-01T00:00:09.000Z] Executing 'Functions.mail-import' (Reason='', Id=3)",
    "[2026-01-01T00:00:09.250Z] Executed 'Functions.mail-import' (Succeeded, Id=3, Duration=250ms)",
  ].join('\n');
  const { begun, ended, seconds } = executions(log, 'mail-import');
  expect([begun.length, ended.length, seconds]).toEqual([3, 3, 1.5]);
});

test('what is under way to a far server takes the whole time, and keeps its order when the distance changes', async () => {
  const echo = createServer((socket) => socket.pipe(socket));
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const far = await startFarServer((echo.address() as AddressInfo).port);
  const client: Socket = connect(far.port, '127.0.0.1');
  let sent = '';
  let received = '';
  const whole = new Promise<void>((resolve) => {
    client.on('data', (chunk: Buffer) => {
      received += chunk;
      if (received.endsWith('end')) resolve();
    });
  });
  far.roundTrip(6);
  for (let n = 0; n < 20; n += 1) {
    const began = performance.now();
    client.write('.');
    await once(client, 'data');
    expect(performance.now() - began).toBeGreaterThanOrEqual(6);
  }
  received = '';
  const distances = [60, 0, 6, 20, 1];
  for (let n = 0; n < 300; n += 1) {
    far.roundTrip(distances[n % distances.length] ?? 0);
    sent += `${n},`;
    client.write(`${n},`);
    // Each of them is a piece of its own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.write('end');
  await whole;
  expect(received).toBe(`${sent}end`);
  client.destroy();
  await far.stop();
  echo.close();
});

test('a section that was not measured stands among the targets, with the reason', () => {
  const goal = { what: 'speed', figure: Number.NaN, bound: 'atLeast', target: 1, unit: 'x' } as const;
  const { goals } = sectionResultSchema.parse({ title: 'A title', notes: [], table: [['']], goals: [goal] });
  const text = goalText(goals, new Map([['import', 'took too long: no end after 1200 s']]));
  expect(text).toMatch(/^speed .*MISSED$/m);
  expect(text).toMatch(/^section import .*NOT MEASURED: took too long: no end after 1200 s$/m);
});
