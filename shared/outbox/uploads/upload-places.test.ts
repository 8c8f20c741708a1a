import { describe, expect, it } from 'vitest';
import { placeholder, type UploadPlace, withoutPlaceholders } from './upload-places.ts';

const seed = '<a@example.com>';

async function read(text: string, chunk: number): Promise<{ text: string; places: UploadPlace[] }> {
  const bytes = Buffer.from(text);
  const chunks = async function* () {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  };
  const places: UploadPlace[] = [];
  const out: Buffer[] = [];
  for await (const piece of withoutPlaceholders(chunks(), seed, (place) => places.push(place))) out.push(piece);
  return { text: Buffer.concat(out).toString(), places };
}

const encoded = (upload: number, by = seed) => placeholder(by, upload).toString('base64');

describe.each([1, 7, 43, 44, 45, 1_000])('a text in chunks of %i', (chunk) => {
  it('loses its placeholders, whose places are reported', async () => {
    const text = `one\r\n${encoded(0)}\r\ntwo\r\n${encoded(199)}${encoded(0)}three`;
    expect(await read(text, chunk)).toEqual({
      text: 'one\r\n\r\ntwo\r\nthree',
      places: [
        { at: 5, upload: 0 },
        { at: 12, upload: 199 },
        { at: 12, upload: 0 },
      ],
    });
  });

  it('may begin and end with one, or be one', async () => {
    expect(await read(`${encoded(1)}x${encoded(2)}`, chunk)).toEqual({
      text: 'x',
      places: [
        { at: 0, upload: 1 },
        { at: 1, upload: 2 },
      ],
    });
    expect(await read(encoded(3), chunk)).toEqual({ text: '', places: [{ at: 0, upload: 3 }] });
  });

  it('keeps what only looks like one', async () => {
    const text = `${encoded(0, '<b@example.com>')} ${encoded(0).slice(0, 39)} ${encoded(0).slice(0, 20)}`;
    expect(await read(text, chunk)).toEqual({ text, places: [] });
  });
});
