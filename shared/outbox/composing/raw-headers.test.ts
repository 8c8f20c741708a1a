import { describe, expect, it } from 'vitest';
import { MalformedMail, splitMail } from './raw-headers.ts';

const split = (text: string, encoding: BufferEncoding = 'utf8') => splitMail(Buffer.from(text, encoding));

describe('splitMail', () => {
  it('gives each header its lines, and the body what follows the empty line', () => {
    const { headers, body } = split('To: a\r\n b\r\nX-A:\r\n\r\n\r\nbody\r\n\r\nend');
    expect(headers).toEqual([
      { name: 'To', lines: 'To: a\r\n b' },
      { name: 'X-A', lines: 'X-A:' },
    ]);
    expect(body.toString()).toBe('\r\nbody\r\n\r\nend');
  });

  it('finds no body where there is no empty line', () => {
    const { headers, body } = split('To: a\r\nSubject: s\r\n');
    expect(headers.map(({ name }) => name)).toEqual(['To', 'Subject']);
    expect(body).toHaveLength(0);
  });

  it('knows a name with blanks before its colon', () => {
    expect(split('Bcc \t: a\r\n\r\n').headers).toEqual([{ name: 'Bcc', lines: 'Bcc \t: a' }]);
  });

  it('takes 1000 headers and not one more', () => {
    const lines = (count: number) => `${'X: y\r\n'.repeat(count)}\r\n`;
    expect(split(lines(1000)).headers).toHaveLength(1000);
    expect(() => split(lines(1001))).toThrow(/1000 headers/);
  });

  it.each([
    ['has a name of two words', 'what is: x'],
    ['has a name outside ASCII', 'Grüße: x'],
    ['has no colon', 'hello'],
    ['has no name', ': x'],
  ])('says which header it is that %s', (_, line) => {
    const broken = () => split(`From: a\r\nX: y\r\n z\r\n${line}\r\nX: y\r\n\r\n`);
    expect(broken).toThrow(MalformedMail);
    expect(broken).toThrow(/^Header 3 /);
  });

  it('takes a byte order mark for no part of a name', () => {
    expect(() => split('\ufeffFrom: a\r\n\r\n')).toThrow(/Header 1 /);
  });

  it('reads UTF-8 and replaces nothing that is none', () => {
    expect(split('Subject: ü\r\n\r\n').headers[0]?.lines).toBe('Subject: ü');
    expect(() => split('Subject: ü\r\n\r\n', 'latin1')).toThrow(/UTF-8/);
  });
});
