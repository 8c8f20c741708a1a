import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GatedSink, startGatedSink } from './support/gated-sink.ts';
import { Mailroom, until } from './support/mailroom.ts';
import { problem } from './support/problem.ts';
import { endedRecord, heldKeys, recordOf, smtpAccount } from './support/sending.ts';

let mailroom: Mailroom;
let sink: GatedSink;

beforeAll(async () => {
  [mailroom, sink] = await Promise.all([
    // Records that are kept shorter than the keys that name them.
    Mailroom.start({ env: { RECORD_RETENTION_DAYS: '1' } }),
    startGatedSink(),
  ]);
  for (const name of ['corpus', 'other', 'third']) await smtpAccount(mailroom, name, { port: sink.port });
});

afterAll(async () => {
  await mailroom?.stop();
  await sink?.stop();
});

const post = (account: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  mailroom.call('POST', `/api/accounts/${account}/messages`, { body, headers });

const postRaw = (raw: Buffer | ReadableStream<Uint8Array>, headers: Readonly<Record<string, string>> = {}) =>
  mailroom.call('POST', '/api/accounts/corpus/messages', {
    raw,
    headers: { 'content-type': 'message/rfc822', ...headers },
  });

const mail = { to: 'anna@example.org', subject: 'Zahlen', text: 'Grüße' };

const list = async (query: string) =>
  (await mailroom.expect(200, 'GET', `/api/messages?${query}`)).json.items.map(({ id }: { id: string }) => id);

describe('Idempotency-Key', () => {
  const key = (value: string) => ({ 'idempotency-key': value });

  it('the same key and request give the same mail, with its status now', async () => {
    const body = { ...mail, subject: 'once' };
    const first = await post('corpus', body, key('k-1'));
    await endedRecord(mailroom, first.json.id);
    const again = await post('corpus', body, key('k-1'));
    expect([again.status, again.json]).toEqual([202, { ...first.json, status: 'sent' }]);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    const waited = await post('corpus', body, { ...key('k-1'), prefer: 'wait=20' });
    expect([waited.status, waited.json.id]).toEqual([200, first.json.id]);
    // The function key is no part of the request.
    const url = '/api/accounts/corpus/messages?code=test-function-key';
    const inQuery = await mailroom.call('POST', url, { body, headers: key('k-1'), key: null });
    expect([inQuery.status, inQuery.json.id]).toEqual([202, first.json.id]);
    expect(sink.bySubject('once')).toHaveLength(1);
  });

  it('the same key with another body or content type is refused', async () => {
    await post('corpus', mail, key('k-2'));
    problem(await post('corpus', { ...mail, text: 'other' }, key('k-2')), 422);
    const typed = { ...key('k-2'), 'content-type': 'application/json; charset=utf-8' };
    problem(await post('corpus', mail, typed), 422);
    problem(await postRaw(Buffer.from('From: corpus@example.com\r\nTo: a@example.org\r\n\r\nx\r\n'), key('k-2')), 422);
    const { json } = await post('other', mail, key('k-2'));
    expect(json.id).toMatch(/^other\./);
  });

  it('many at once are one mail: whoever is too early hears 409, and then gets the same', async () => {
    sink.close();
    const body = { ...mail, subject: 'at once' };
    const asked = Array.from({ length: 6 }, async (_, n) => {
      const headers = { ...key('k-3'), ...(n % 2 ? { prefer: 'wait=20' } : {}) };
      return await until('an answer other than 409', 60, async () => {
        const answer = await post('corpus', body, headers);
        if (answer.status === 409) problem(answer, 409);
        return answer.status !== 409 && answer;
      });
    });
    await until('one of them is sending', 60, async () => (await list('status=sending')).length > 0);
    sink.open();
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([202, 200, 202, 200, 202, 200]);
    expect(new Set(answers.map(({ json }) => json.id)).size).toBe(1);
    expect(new Set(answers.map(({ json }) => json.messageId)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 200).map(({ json }) => json.status)).toEqual(
      Array(3).fill('sent'),
    );
    expect(sink.bySubject('at once')).toHaveLength(1);
  });

  it('while a request is still being accepted, another with its key is refused with 409', async () => {
    const text = 'From: corpus@example.com\r\nTo: anna@example.org\r\nSubject: slow\r\n\r\nhalf and half\r\n';
    const half = new TransformStream<Uint8Array, Uint8Array>();
    const writer = half.writable.getWriter();
    const slow = postRaw(half.readable, key('k-slow'));
    await writer.write(Buffer.from(text.slice(0, 70)));
    await until('the key is held', 60, async () => (await heldKeys(mailroom)) === 1);
    problem(await postRaw(Buffer.from(text), key('k-slow')), 409);
    problem(await post('corpus', mail, key('k-slow')), 409);
    await writer.write(Buffer.from(text.slice(70)));
    await writer.close();
    const first = await slow;
    expect(first.status).toBe(202);
    const again = await postRaw(Buffer.from(text), key('k-slow'));
    expect([again.status, again.json.id]).toEqual([202, first.json.id]);
    problem(await postRaw(Buffer.from(`${text}more\r\n`), key('k-slow')), 422);
    await endedRecord(mailroom, first.json.id);
    expect(sink.bySubject('slow')).toHaveLength(1);
  });

  it('of a request that broke off is free again', async () => {
    const half = new TransformStream<Uint8Array, Uint8Array>();
    const writer = half.writable.getWriter();
    const broken = postRaw(half.readable, key('k-broken')).catch(() => undefined);
    await writer.write(Buffer.from('From: corpus@example.com\r\nTo: anna@example.org\r\n\r\nhalf'));
    await until('the key is held', 60, async () => (await heldKeys(mailroom)) === 1);
    problem(await post('corpus', mail, key('k-broken')), 409);
    await writer.abort(new Error('the caller goes away')).catch(() => undefined);
    await broken;
    const next = await until('the key is free', 25, async () => {
      const answer = await post('corpus', mail, key('k-broken'));
      return answer.status === 202 && answer;
    });
    expect((await endedRecord(mailroom, next.json.id)).status).toBe('sent');
  });

  it('a refused request holds no key', async () => {
    problem(await post('corpus', { ...mail, bogus: 1 }, key('k-4')), 400);
    expect((await post('corpus', mail, key('k-4'))).status).toBe(202);
    problem(await postRaw(Buffer.from('From: corpus@example.com\r\n\r\nx\r\n'), key('k-5')), 400);
    problem(
      await postRaw(
        Buffer.from(`From: corpus@example.com\r\nTo: a@example.org\r\n\r\n${'x'.repeat(1_000)}`),
        key('k-5'),
      ),
      400,
    );
    expect((await post('corpus', mail, key('k-5'))).status).toBe(202);
  });

  it('has 1 to 256 characters', async () => {
    expect((await post('corpus', mail, key('k'.repeat(256)))).status).toBe(202);
    expect(problem(await post('corpus', mail, key('k'.repeat(257))), 400).mistakes).toEqual({
      '': expect.stringContaining('Idempotency-Key'),
    });
    problem(await post('corpus', mail, key('')), 400);
  });
});

describe('message/rfc822', () => {
  it('leaves as it came, without Bcc, with the envelope from its headers', async () => {
    const headers = [
      'From: Corpus <corpus@example.com>',
      'To: anna@example.org,',
      ' bob@example.org',
      'Bcc: eve@example.org',
      'Subject: ready made',
      'Message-ID: <own@example.com>',
      'Date: Thu, 01 Jan 2026 00:00:00 +0000',
      'X-Odd:   kept   as it is',
    ];
    const text = `${headers.join('\r\n')}\r\n\r\nbody\r\n.\r\n..dots\r\n`;
    const answer = await postRaw(Buffer.from(text), { prefer: 'wait=20' });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ status: 'sent', messageId: '<own@example.com>' });
    const [arrived, ...more] = sink.bySubject('ready made');
    expect(more).toEqual([]);
    expect(arrived).toMatchObject({
      from: 'corpus@example.com',
      to: ['anna@example.org', 'bob@example.org', 'eve@example.org'],
    });
    expect(arrived?.bytes.toString()).toBe(text.replace('Bcc: eve@example.org\r\n', ''));
  });

  it('gets a Message-ID and a Date where it has none', async () => {
    const text = 'From: corpus@example.com\r\nTo: anna@example.org\r\nSubject: bare\r\n\r\nx\r\n';
    const { json } = await postRaw(Buffer.from(text), { prefer: 'wait=20' });
    const arrived = sink.bySubject('bare')[0]?.bytes.toString() ?? '';
    expect(arrived).toContain(`\r\nMessage-ID: ${json.messageId}\r\n`);
    expect(arrived).toMatch(/^Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\r\n/);
    expect(arrived.endsWith(text)).toBe(true);
  });

  it('of 30 MB is streamed through, byte for byte', async () => {
    const head = 'From: corpus@example.com\r\nTo: anna@example.org\r\nBcc: eve@example.org\r\nSubject: large\r\n';
    const fixed = 'Message-ID: <large@example.com>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n';
    const line = (n: number) => `${String(n).padStart(9, '0')} ${'abcdefghij'.repeat(6)}\r\n`;
    const chunks = Array.from({ length: 500 }, (_, block) =>
      Buffer.from(Array.from({ length: 860 }, (_, n) => line(block * 860 + n)).join('')),
    );
    const body = Buffer.concat(chunks);
    expect(body.length).toBeGreaterThan(30_000_000);
    const stream = ReadableStream.from([Buffer.from(head + fixed), ...chunks]);
    const answer = await postRaw(stream, { prefer: 'wait=30' });
    expect([answer.status, answer.json.status]).toEqual([200, 'sent']);
    const arrived = sink.bySubject('large')[0];
    expect(arrived?.to).toEqual(['anna@example.org', 'eve@example.org']);
    const expected = Buffer.concat([Buffer.from(head.replace('Bcc: eve@example.org\r\n', '') + fixed), body]);
    expect(arrived?.bytes.equals(expected)).toBe(true);
  });

  it('every mistake in its headers is reported at once', async () => {
    const text = 'From: eve@example.net\r\nFrom: corpus@example.com\r\nTo: <<\r\nMessage-ID: none\r\n\r\nx\r\n';
    const { pointers } = problem(await postRaw(Buffer.from(text)), 400);
    expect(pointers).toEqual(expect.arrayContaining(['/from', '/message-id', '/to']));
    problem(await postRaw(Buffer.from(`From: corpus@example.com\r\nTo: a@example.org\r\n\r\n${'x'.repeat(999)}`)), 400);
  });

  it('is sent once with a key', async () => {
    const text = Buffer.from('From: corpus@example.com\r\nTo: anna@example.org\r\nSubject: keyed\r\n\r\nx\r\n');
    const headers = { 'idempotency-key': 'raw-1', prefer: 'wait=20' };
    const answers = [await postRaw(text, headers), await postRaw(text, headers)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[0]?.json).toEqual(answers[1]?.json);
    expect(sink.bySubject('keyed')).toHaveLength(1);
    problem(await postRaw(Buffer.concat([text, Buffer.from('y\r\n')]), headers), 422);
  });
});

describe('records', () => {
  it.each(['x', 'corpus.x', 'corpus.0000000000000000000000', 'Corpus.0000000000000000000000', 'a%2Fb.0'])(
    'no message %s',
    async (id) => {
      problem(await mailroom.call('GET', `/api/messages/${id}`), 404);
      problem(await mailroom.call('DELETE', `/api/messages/${id}`), 404);
    },
  );

  it('are listed newest first over all accounts, page by page', async () => {
    const sent: string[] = [];
    for (const account of ['corpus', 'other', 'third', 'other', 'corpus', 'third', 'corpus']) {
      sent.unshift((await post(account, mail)).json.id);
    }
    const all = await list('top=1000');
    expect(all.slice(0, sent.length)).toEqual(sent);
    const paged: string[] = [];
    for (let token = ''; ; ) {
      const { json } = await mailroom.expect(200, 'GET', `/api/messages?top=5${token}`);
      paged.push(...json.items.map((item: { id: string }) => item.id));
      if (json.continue === undefined) break;
      expect(json.items).toHaveLength(5);
      token = `&continue=${json.continue}`;
    }
    expect(paged).toEqual(all);
    // A page that ends with the last item is the last.
    expect(Object.keys((await mailroom.expect(200, 'GET', `/api/messages?top=${all.length}`)).json)).toEqual(['items']);
    expect(await list('account=other')).toEqual(all.filter((id: string) => id.startsWith('other.')));
    const { json } = await post('third', { ...mail, sendAt: new Date(Date.now() + 3_600_000).toISOString() });
    expect(await list('account=third&status=scheduled')).toEqual([json.id]);
    expect(await list('account=corpus&status=scheduled')).toEqual([]);
    expect((await mailroom.expect(200, 'GET', '/api/messages?account=nobody')).json).toEqual({ items: [] });
  });

  it('every mistake in the query is reported at once', async () => {
    const path = '/api/messages?account=No&status=gone&top=0&continue=!&acount=corpus';
    expect(problem(await mailroom.call('GET', path), 400).pointers).toEqual([
      '/account',
      '/acount',
      '/continue',
      '/status',
      '/top',
    ]);
    const twice = await mailroom.call('GET', '/api/messages?status=sent&status=failed');
    expect(problem(twice, 400).pointers).toEqual(['/status']);
  });

  it('outlive their account', async () => {
    await smtpAccount(mailroom, 'short', { port: sink.port });
    const { json } = await post('short', mail, { prefer: 'wait=20' });
    await mailroom.expect(204, 'DELETE', '/api/accounts/short');
    problem(await post('short', mail), 404);
    expect(await recordOf(mailroom, json.id)).toEqual(json);
    expect(await list('account=short')).toEqual([json.id]);
  });

  it('live as long as the key that names them, however short records are kept', async () => {
    const headers = { 'idempotency-key': 'old', prefer: 'wait=20' };
    const body = { ...mail, subject: 'kept' };
    const { json } = await post('corpus', body, headers);
    await mailroom.setClock(6 * 86_400_000);
    await mailroom.fire('retention');
    await expect.poll(() => mailroom.log()).toContain("Executed 'Functions.retention' (Succeeded");
    expect((await post('corpus', body, headers)).json.id).toBe(json.id);
    expect(sink.bySubject('kept')).toHaveLength(1);
    // After seven days the key is free, whether or not it was cleared away.
    await mailroom.setClock(7 * 86_400_000 + 60_000);
    const { json: other } = await post('corpus', { ...body, text: 'other' }, headers);
    expect([other.status, other.id === json.id]).toEqual(['sent', false]);
  });
});
