import { describe, expect, it } from 'vitest';
import { parseInput } from '../../platform/validation.ts';
import { attachmentsSchema } from './attachments.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const upload = 'a'.repeat(40);

const parse = (attachment: object) => parseInput(attachmentsSchema, [attachment])[0];

describe('an attachment', () => {
  it('has its content or an upload', () => {
    expect(parse({ filename: 'a.txt', content: base64('a') })).toEqual({
      filename: 'a.txt',
      contentType: 'text/plain',
      content: Buffer.from('a'),
    });
    expect(parse({ filename: 'a.txt', upload })).toEqual({ filename: 'a.txt', contentType: 'text/plain', upload });
  });

  it.each([
    ['has neither content nor an upload', {}, 'content', /is required/],
    ['has both', { content: base64('a'), upload }, 'upload', /beside content/],
    ['has content that is no base64', { content: 'a!' }, 'content', /must be base64/],
    [
      'is a mail that is uploaded',
      { upload, contentType: 'message/rfc822' },
      'contentType',
      /is message\/rfc822, .*upload/,
    ],
    [
      'is a mail that holds a NUL',
      { content: base64('a: b\n\n\0'), contentType: 'Message/RFC822 ; x=y' },
      'content',
      /cannot travel as message\/rfc822, .*line 3 holds a NUL/,
    ],
    ['has a type with an umlaut', { content: '', contentType: 'text/plain; name="ü"' }, 'contentType', /media type/],
    ['has an id with a space', { content: '', contentId: 'a b' }, 'contentId', /without spaces/],
    ['has an id with a bracket before it', { content: '', contentId: '<a' }, 'contentId', /printable/],
    ['has an id with a bracket behind it', { content: '', contentId: 'a>' }, 'contentId', /printable/],
    ['has an id with text before its brackets', { content: '', contentId: 'a<b>' }, 'contentId', /printable/],
    ['has an id with text behind its brackets', { content: '', contentId: '<a>b' }, 'contentId', /printable/],
  ])('is refused that %s', (_, fields, field, detail) => {
    const mistakes = [{ pointer: `/0/${field}`, detail: expect.stringMatching(detail) }];
    expect(() => parse({ filename: 'f', ...fields })).toThrow(expect.objectContaining({ reason: 'invalid', mistakes }));
  });

  it.each(['text/csv;', 'text/csv ; ', 'text/csv; name="multipart/x"'])('may be of the type %j', (contentType) => {
    expect(parse({ filename: 'f', content: '', contentType })).toMatchObject({ contentType });
  });

  it.each([
    ['report.2026.pdf', 'a', 'application/pdf'],
    ['report', 'a', 'application/octet-stream'],
    ['mail.eml', 'a: b\n\nc', 'message/rfc822'],
    ['mail.eml', 'a: b\n\n\0', 'application/octet-stream'],
  ])('%s with %j is taken for %s', (filename, content, contentType) => {
    expect(parse({ filename, content: base64(content) })).toMatchObject({ contentType });
  });

  it('is taken for bytes where nobody has looked into it', () => {
    expect(parse({ filename: 'mail.eml', upload })).toMatchObject({ contentType: 'application/octet-stream' });
  });
});
