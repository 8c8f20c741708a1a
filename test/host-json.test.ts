import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { createLog, parseLogLevel } from '../local/host/log.ts';

const hostJson = JSON.parse(await readFile(new URL('../host.json', import.meta.url), 'utf8'));

/** Logs what the levels of host.json let through, by the host's rule of the longest prefix. */
const log = createLog(
  new Map(
    Object.entries(hostJson.logging.logLevel).map(([category, level]) => {
      const known = parseLogLevel(String(level));
      if (known === undefined) throw new Error(`${category}: ${level} is no level`);
      return [category, known];
    }),
  ),
  () => undefined,
);

it.each([
  // Each request to storage, twice: 150 entries a minute and instance that has nothing to do.
  'Azure.Core',
  'Azure.Identity',
  // Each request that comes in, twice.
  'Microsoft.AspNetCore.Hosting.Diagnostics',
  'Microsoft.Azure.WebJobs.Script.WebHost.Middleware.SystemTraceMiddleware',
  // Each request that is handed on to the app, twice.
  'Yarp.ReverseProxy.Forwarder.HttpForwarder',
  'System.Net.Http.HttpClient.Default.LogicalHandler',
])('%s is heard only with warnings', (category) => {
  expect(log.enabled('information', category)).toBe(false);
  expect(log.enabled('warning', category)).toBe(true);
});

it.each(['Function.mail-send.User', 'Function.mail-import', 'Host.Results', 'Host.Aggregator', 'Host.Startup'])(
  '%s is heard: alerts and queries read it',
  (category) => {
    expect(log.enabled('information', category)).toBe(true);
  },
);
