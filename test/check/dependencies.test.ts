import { expect, it } from 'vitest';
import { noticeText } from '../../notices.ts';
import { badlyVulnerable, isAllowed } from './dependencies.ts';

it.each([
  ['MIT', true],
  ['(MIT OR EUPL-1.1+)', true],
  ['MIT AND ISC', true],
  ['GPL-3.0', false],
  ['MIT AND GPL-3.0', false],
  ['not given', false],
])('%s', (license, expected) => {
  expect(isAllowed(license)).toBe(expected);
});

it('an audit says what is high or critical, and any other text is no audit', () => {
  const vulnerabilities = { a: { severity: 'low' }, b: { severity: 'high' }, c: { severity: 'critical' } };
  expect(badlyVulnerable(JSON.stringify({ vulnerabilities }))).toEqual(['b (high)', 'c (critical)']);
  expect(badlyVulnerable(JSON.stringify({ vulnerabilities: {} }))).toEqual([]);
  for (const none of ['', '{"error":{"code":"ENOAUDIT"}}', '<html>']) expect(badlyVulnerable(none)).toBeUndefined();
});

it('a notice has every package, and each text once', () => {
  const one = { version: '1.0.0', license: 'MIT' };
  const text = noticeText([
    { name: 'a', ...one, text: 'the text' },
    { name: 'b', ...one, text: 'the text' },
    { name: 'c', ...one, text: undefined },
  ]);
  expect(text.match(/the text/g)).toHaveLength(1);
  for (const name of ['a', 'b', 'c']) expect(text).toContain(`${name} 1.0.0 (MIT)`);
});
