import { expect, test } from 'vitest';
import { safeType } from './safe-type.ts';

test.each([
  'image/png',
  'image/jpeg',
  'audio/mpeg',
  'video/mp4',
  'text/plain',
  'text/calendar',
  'application/pdf',
  'application/zip',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  'application/ms-tnef',
  'message/rfc822',
])('%s is served as it is', (type) => {
  expect(safeType(type)).toBe(type);
});

test.each([
  'text/html',
  'application/xhtml+xml',
  'image/svg+xml',
  'text/xml',
  'application/xml',
  'application/rss+xml',
  'text/xsl',
  'text/javascript',
  'application/javascript',
  'text/css',
  'text/cache-manifest',
  'application/wasm',
  'application/hta',
  'application/x-shockwave-flash',
  'application/x-msdownload',
  'application/vnd.mozilla.xul+xml',
  'multipart/x-mixed-replace',
  'application/x-www-form-urlencoded',
  'image/svg',
  'text/plain; charset=utf-7',
  'TEXT/HTML',
  '',
  'x',
])('%s is served as bytes', (type) => {
  expect(safeType(type)).toBe('application/octet-stream');
});
