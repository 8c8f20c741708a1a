import { describe, expect, it } from 'vitest';
import { maxUploadBytes, type Upload } from '../uploads/uploads.ts';
import { namedUploads, refuseLargeMail, uploadMistakes } from './named-uploads.ts';

const now = 1_790_000_000_000;
const id = (n: number) => n.toString(16).padStart(40, '0');
const upload = (n: number, size = 10, expiresAt = now + 1): Upload => ({ id: id(n), size, etag: '"1"', expiresAt });
const known = (...uploads: readonly Upload[]) => new Map(uploads.map((each) => [each.id, each]));
const request = (...attachments: readonly unknown[]) => ({ attachments });

describe('the uploads that a request names', () => {
  it('are told once each, in their order', () => {
    const named = request(
      { upload: id(2) },
      { filename: 'a.txt', content: 'eA==' },
      { upload: id(1) },
      { upload: id(2) },
    );
    expect(namedUploads(named)).toEqual([id(2), id(1)]);
  });

  it.each([
    ['nothing', undefined],
    ['a text', 'x'],
    ['no attachments', {}],
    ['attachments that are no list', { attachments: { upload: id(1) } }],
    ['attachments that are none', request(null, 1, 'x', [])],
    ['an upload that is no text', request({ upload: 1 })],
    ['an upload that can be no id', request({ upload: '../other' })],
    ['an empty one', request({ upload: '' })],
  ])('are none in %s', (_, value) => {
    expect(namedUploads(value)).toEqual([]);
    expect(uploadMistakes(value, known(), now)).toEqual([]);
    expect(() => refuseLargeMail(value, known())).not.toThrow();
  });

  it('are looked for among as many attachments as a mail can have', () => {
    const many = request(...Array.from({ length: 2_000 }, (_, n) => ({ upload: id(n) })));
    expect(namedUploads(many).length).toBeLessThan(2_000);
  });
});

describe('an upload', () => {
  it('that is there until later is no mistake', () => {
    expect(uploadMistakes(request({ upload: id(1) }), known(upload(1)), now)).toEqual([]);
  });

  it('that ends now has expired, and one that nobody knows is not there: each at its attachment', () => {
    const named = request({ upload: id(1) }, { upload: id(2) }, { upload: id(3) });
    expect(uploadMistakes(named, known(upload(1), upload(3, 10, now)), now)).toEqual([
      { pointer: '/attachments/1/upload', detail: 'is not there: it never was, or it has expired' },
      { pointer: '/attachments/2/upload', detail: 'has expired; upload the file again' },
    ]);
  });
});

describe('a mail', () => {
  it('may have as many bytes as an upload may, all attachments together, and no more', () => {
    const named = request({ upload: id(1) }, { upload: id(2) }, { upload: id(9) });
    expect(() => refuseLargeMail(named, known(upload(1, maxUploadBytes - 10), upload(2, 10)))).not.toThrow();
    const large = () => refuseLargeMail(named, known(upload(1, maxUploadBytes - 10), upload(2, 11)));
    expect(large).toThrow(expect.objectContaining({ reason: 'tooLarge' }));
    expect(large).toThrow(
      expect.objectContaining({ mistakes: [{ pointer: '/attachments', detail: 'are too large in total' }] }),
    );
  });

  it('counts an upload as often as it is in it, and what is inline', () => {
    const named = request({ upload: id(1) }, { upload: id(1) });
    expect(() => refuseLargeMail(named, known(upload(1, maxUploadBytes / 2)))).not.toThrow();
    expect(() => refuseLargeMail(named, known(upload(1, maxUploadBytes / 2 + 1)))).toThrow('at most');
    const both = request({ upload: id(1) }, { content: Buffer.from('four').toString('base64') });
    expect(() => refuseLargeMail(both, known(upload(1, maxUploadBytes - 4)))).not.toThrow();
    expect(() => refuseLargeMail(both, known(upload(1, maxUploadBytes - 3)))).toThrow('at most');
  });
});
