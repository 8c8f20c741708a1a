import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { colleague, draft, immutable, mail, Stage, user } from './graph.test-support.ts';

let stage: Stage;
let clock = 0;

beforeAll(async () => {
  stage = await Stage.start({
    now: () => Date.now() + clock,
    mailboxes: [
      {
        userPrincipalName: user,
        displayName: 'Corpus',
        aliases: ['press@example.com'],
        sendAs: ['shared@example.com'],
        maxMessageSize: 250 * 1024 * 1024,
      },
      { userPrincipalName: colleague },
    ],
  });
});
afterAll(() => stage.stop());
afterEach(() => {
  clock = 0;
  expect(stage.graph.violations).toEqual([]);
  stage.graph.reset();
});

const refused = (status: number, code: string) => ({ status, json: { error: { code } } });
const post = (path: string, body: unknown) => stage.call('POST', path, { body, headers: immutable });
const sent = () => stage.graph.sent(user).at(-1);

/** Asks for a session. */
const session = (id: string, size: number, more: object = {}) =>
  post(`messages/${id}/attachments/createUploadSession`, {
    AttachmentItem: { attachmentType: 'file', name: 'large.bin', size, ...more },
  });

/** Uploads one range. */
function put(
  url: string,
  bytes: Buffer,
  [start, total]: readonly [number, number],
  headers: Record<string, string> = {},
) {
  return stage.call('PUT', url, {
    token: null,
    raw: { type: 'application/octet-stream', bytes },
    headers: { 'content-range': `bytes ${start}-${start + bytes.length - 1}/${total}`, ...headers },
  });
}

test('a large attachment is uploaded in ranges, into a MIME draft too', async () => {
  const bytes = Buffer.alloc(7_000_001, 'mailroom');
  const alternative = ['MIME-Version: 1.0', 'Content-Type: multipart/alternative; boundary=x'];
  const body = '--x\r\n\r\ntext\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n--x--\r\n';
  const mixed = ['Content-Type: multipart/mixed; boundary=m'];
  const inMixed = `--m\r\n${alternative[1]}\r\n\r\n${body}\r\n--m--\r\n`;
  for (const mime of [mail('alternative', alternative, body), mail('mixed', mixed, inMixed)]) {
    const made = await stage.call('POST', 'messages', { mime, headers: immutable });
    const opened = await session(made.json.id, bytes.length, { isInline: false, contentType: 'application/x-large' });
    expect(opened).toMatchObject({ status: 201, json: { nextExpectedRanges: ['0-'] } });
    const { uploadUrl } = opened.json;
    expect(new URL(uploadUrl).host).not.toBe(new URL(stage.graph.endpoint).host);
    const half = 4 * 1024 * 1024;
    const first = await put(uploadUrl, bytes.subarray(0, half), [0, bytes.length]);
    expect(first).toMatchObject({ status: 200, json: { nextExpectedRanges: [String(half)] } });
    const last = await put(uploadUrl, bytes.subarray(half), [half, bytes.length]);
    expect(last).toMatchObject({ status: 201, bytes: Buffer.alloc(0) });
    expect(last.headers.get('location')).toMatch(/\/Attachments\('.+'\)$/);
    expect((await stage.call('POST', `messages/${made.json.id}/send`)).status).toBe(202);
    const arrived = stage.graph.mailbox(colleague).deliver(sent()?.bytes() ?? Buffer.alloc(0));
    const path = `/users/${colleague}/messages/${arrived.immutableId}`;
    const got = await stage.get(`${path}/attachments?$select=name,contentType,size`);
    expect(got.json.value).toMatchObject([
      { name: 'large.bin', contentType: 'application/x-large', size: bytes.length },
    ]);
    const content = await stage.get(`${path}/attachments/${got.json.value[0].id}/$value`);
    expect(content.bytes.equals(bytes)).toBe(true);
    expect((await stage.get(`${path}?$select=body`)).json.body.content).toBe('<b>html</b>');
    const text = await stage.get(`${path}?$select=body`, { prefer: 'outlook.body-content-type="text"' });
    expect(text.json.body.content).toBe('text');
  }
});

test('upload sessions have their rules', async () => {
  const { json } = await post('messages', draft('rules'));
  const total = 5_000_000;
  expect(await session(json.id, 2_999_999)).toMatchObject(
    refused(400, 'ErrorAttachmentSizeShouldNotBeLessThanMinimumSize'),
  );
  expect(await session(json.id, 151 * 1024 * 1024)).toMatchObject(refused(400, 'ErrorAttachmentSizeLimitExceeded'));
  const { uploadUrl } = (await session(json.id, total)).json;
  const chunk = Buffer.alloc(1000);
  expect((await put(uploadUrl, chunk, [0, total], { authorization: `Bearer ${stage.token}` })).status).toBe(401);
  expect(stage.graph.exposedTokens).toHaveLength(1);
  expect((await put(uploadUrl, chunk, [1000, total])).status).toBe(416);
  expect((await put(uploadUrl, chunk, [0, total + 1])).status).toBe(400);
  expect((await put(uploadUrl, chunk, [0, total], { 'content-range': 'bytes 0-1/5000000' })).status).toBe(400);
  expect((await put(uploadUrl, Buffer.alloc(4 * 1024 * 1024 + 1), [0, total])).status).toBe(413);
  expect((await put(uploadUrl, chunk, [0, total])).status).toBe(200);
  expect((await put(uploadUrl, chunk, [0, total])).status).toBe(416);
  clock = 3_600_001;
  expect((await put(uploadUrl, chunk, [1000, total])).status).toBe(401);
  clock = 0;
  const other = (await session(json.id, total)).json.uploadUrl;
  expect((await stage.call('DELETE', other, { token: null })).status).toBe(204);
  expect((await put(other, chunk, [0, total])).status).toBe(404);
  expect(stage.graph.requests.filter((one) => one.route === 'uploadUrl' && one.user === user).length).toBeGreaterThan(
    5,
  );
});
