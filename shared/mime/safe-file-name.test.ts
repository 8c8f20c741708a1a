import { expect, test } from 'vitest';
import { safeFileName } from './safe-file-name.ts';

const safe = (name: string | undefined, type = 'application/octet-stream') => safeFileName(name, type, 3);

test.each([
  ['report.pdf', 'report.pdf'],
  ['Prüfung №1 – 日本.xlsx', 'Prüfung №1 – 日本.xlsx'],
  ['e\u0301te\u0301.txt', 'été.txt'],
  ['../../etc/passwd', '_.._etc_passwd'],
  ['C:\\Users\\x\\a.doc', 'C__Users_x_a.doc'],
  ['CON', '_CON'],
  ['con.txt', '_con.txt'],
  ['COM1.tar.gz', '_COM1.tar.gz'],
  ['console.txt', 'console.txt'],
  ['...hidden', 'hidden'],
  ['trailing. . ', 'trailing'],
  ['a\u0000b\r\nc\u007f.txt', 'abc.txt'],
  ['invoice\u202efdp.exe', 'invoicefdp.exe'],
  ['a%2fb#c?.txt', 'a_2fb_c_.txt'],
  ['a\ud800b.txt', 'a\ufffdb.txt'],
])('trap 28: %j becomes %j', (name, expected) => {
  expect(safe(name)).toBe(expected);
});

test.each([undefined, '', '..', ' . ', '\u0000', '\u202e'])('%j has no name: it gets one', (name) => {
  expect(safe(name, 'application/pdf')).toBe('attachment-3.pdf');
});

test.each([
  ['message/rfc822', 'eml'],
  ['text/calendar', 'ics'],
  ['text/plain', 'txt'],
  ['message/delivery-status', 'txt'],
  ['application/x-nobody-knows', 'bin'],
  ['..', 'bin'],
])('the extension for %s is %s', (type, extension) => {
  expect(safe(undefined, type)).toBe(`attachment-3.${extension}`);
});

test('4,000 characters become 120, the extension kept, no character halved', () => {
  const name = safe(`${'x'.repeat(115)}${'😀'.repeat(2_000)}.docx`);
  expect(name.length).toBeLessThanOrEqual(120);
  expect(name).toMatch(/\.docx$/);
  expect(name.isWellFormed()).toBe(true);
  expect(safe('y'.repeat(4_000)).length).toBe(120);
  expect(safe(`a.${'z'.repeat(4_000)}`).length).toBe(120);
});
