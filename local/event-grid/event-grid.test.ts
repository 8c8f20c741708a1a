import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalCertificate, makeCertificate } from '../certificate.ts';
import { type Entra, startEntra } from '../entra/entra.ts';
import { postOver } from './event-grid.test-support.ts';
import { type EventGrid, startEventGrid } from './event-grid.ts';

const sender = { tenantId: '11111111-1111-4111-8111-111111111111', clientId: '22222222-2222-4222-8222-222222222222' };
const stranger = { ...sender, clientId: '33333333-3333-4333-8333-333333333333' };

const event = {
  specversion: '1.0',
  id: 'one',
  source: '/accounts/corpus',
  type: 'mailroom.message.sent',
  subject: 'a',
  time: '2026-03-01T09:30:00.000Z',
  datacontenttype: 'application/json',
  data: { status: 'sent' },
};

let certificate: LocalCertificate;
let entra: Entra;
let grid: EventGrid;

beforeAll(async () => {
  certificate = await makeCertificate();
  entra = await startEntra({ certificate, apps: [] });
  grid = await startEventGrid({ certificate, authority: entra, senders: [sender.clientId] });
});

afterAll(async () => {
  await grid?.stop();
  await entra?.stop();
});

interface Change {
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

async function publish({ url = `${grid.endpoint}?api-version=2018-01-01`, headers = {}, body = [event] }: Change) {
  const { token } = await entra.issue(sender, 'https://eventgrid.azure.net');
  const given = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/cloudevents-batch+json; charset=utf-8',
    ...headers,
  };
  return await postOver(certificate.ca, url, given, typeof body === 'string' ? body : JSON.stringify(body));
}

describe('a topic', () => {
  it('takes events of whoever has the role, by themselves and several', async () => {
    expect(await publish({})).toBe(200);
    const one = { ...event, id: 'two', traceparent: '00-0' };
    expect(await publish({ headers: { 'content-type': 'application/cloudevents+json' }, body: one })).toBe(200);
    expect(grid.events.map(({ id }) => id)).toEqual(['one', 'two']);
  });

  it.each([
    ['no token', { headers: { authorization: '' } }, 401],
    ['a token that nobody signed', { headers: { authorization: 'Bearer e30.e30.e30' } }, 401],
    ['a key', { headers: { 'aeg-sas-key': 'key' } }, 401],
    ['another schema', { headers: { 'content-type': 'application/json' } }, 400],
    ['no version', { url: '' }, 400],
    ['a list that is called one event', { headers: { 'content-type': 'application/cloudevents+json' } }, 400],
    ['one event that is called a list', { body: event }, 400],
    ['no event', { body: [] }, 400],
    ['no JSON', { body: '[' }, 400],
    ['no id', { body: [{ ...event, id: undefined }] }, 400],
    ['an empty id', { body: [{ ...event, id: '' }] }, 400],
    ['no source', { body: [{ ...event, source: undefined }] }, 400],
    ['another version of CloudEvents', { body: [{ ...event, specversion: '0.3' }] }, 400],
    ['data that is a text', { body: [{ ...event, data: 'sent' }] }, 400],
    ['a time that is none', { body: [{ ...event, time: 'yesterday' }] }, 400],
    ['an attribute that is misnamed', { body: [{ ...event, traceParent: 'x' }] }, 400],
    ['one event of several that is wrong', { body: [event, { ...event, type: 7 }] }, 400],
    ['more than a mebibyte', { body: [{ ...event, data: { text: 'x'.repeat(1024 * 1024) } }] }, 413],
  ])('refuses %s', async (_, change, status) => {
    const before = grid.events.length;
    const url = 'url' in change ? { url: grid.endpoint } : {};
    expect(await publish({ ...change, ...url })).toBe(status);
    expect(grid.events).toHaveLength(before);
  });

  it('refuses a token for another resource, and whoever has not the role', async () => {
    const other = await entra.issue(sender, 'https://vault.azure.net');
    expect(await publish({ headers: { authorization: `Bearer ${other.token}` } })).toBe(401);
    const { token } = await entra.issue(stranger, 'https://eventgrid.azure.net');
    expect(await publish({ headers: { authorization: `Bearer ${token}` } })).toBe(403);
    grid.assign(stranger.clientId, true);
    expect(await publish({ headers: { authorization: `Bearer ${token}` } })).toBe(200);
  });
});
